//! Each setting is declared once, in `config/keys.rs`: the documented defaults, the schema for editors, and the
//! table of the options agree with that.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use incumbent_cli::config::keys::{Group, KEYS, Key, Kind};
use serde_json::{Map, Value, json};

/// Compares a file with what the declarations make of it; `INCUMBENT_REWRITE=1` writes it anew.
fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(name);
    if std::env::var_os("INCUMBENT_REWRITE").is_some_and(|value| value == "1") {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert_eq!(text, kept, "INCUMBENT_REWRITE=1 writes {name} anew");
}

/// The help of a setting, and what only the file adds.
fn description(key: &Key) -> String {
    format!("{}. {}", key.help.trim(), key.more)
        .trim_end()
        .to_owned()
}

fn default(key: &Key) -> Option<Value> {
    let text = key.default?;
    Some(match key.kind {
        Kind::Stores | Kind::Words => Value::from_iter(text.split_whitespace()),
        Kind::Number(_) => json!(text.parse::<u32>().unwrap()),
        Kind::Switch => json!(text == "true"),
        _ => json!(text),
    })
}

#[test]
fn the_documented_defaults_are_those_that_are_declared() {
    let mut text = "\
# All settings of incumbent, with their defaults. A setting is the flag --some-name, the environment variable
# INCUMBENT_SOME_NAME, and the key some_name here; the first of these that is given counts.
"
    .to_owned();
    for key in KEYS {
        let mut column = usize::MAX;
        text.push('\n');
        for word in description(key).split_whitespace() {
            if column.saturating_add(word.chars().count()) >= 110 {
                text.push_str(if column == usize::MAX { "#" } else { "\n#" });
                column = 1;
            }
            column += 1 + word.chars().count();
            write!(text, " {word}").unwrap();
        }
        match default(key) {
            Some(default) => writeln!(text, "\n{} = {default}", key.name).unwrap(),
            None => writeln!(text, "\n# {} = {:?}", key.name, key.value).unwrap(),
        }
    }
    check("default.toml", &text);
}

#[test]
fn the_schema_for_editors_is_the_one_that_is_declared() {
    let properties = KEYS.iter().map(|key| {
        let mut schema = schema(key);
        schema["description"] = description(key).into();
        if let Some(default) = default(key) {
            schema["default"] = default;
        }
        (key.name.to_owned(), schema)
    });
    let document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "incumbent",
        "description": "The configuration file of incumbent: /etc/incumbent/NAME.toml, or \
                        $XDG_CONFIG_HOME/incumbent/config.toml.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties.collect::<Map<_, _>>(),
    });
    let text = serde_json::to_string_pretty(&document).unwrap();
    check("schema.json", &format!("{text}\n"));
}

/// What a setting takes.
fn schema(key: &Key) -> Value {
    let unit = "[0-9]+ ?(ns|us|ms|s|sec|m|min|h|hour|hours|d|day|days)";
    match key.kind {
        Kind::Stores => {
            let schemes = "^((redis|valkey)(s?(\\+sentinel|\\+cluster)?|\\+unix)|sqlite):";
            let store = json!({"type": "string", "pattern": schemes});
            let list = json!({"type": "array", "items": store, "uniqueItems": true, "maxItems": 5});
            json!({"oneOf": [{"type": "string"}, list]})
        }
        Kind::Words => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Duration => json!({"type": "string", "pattern": format!("^{unit}( ?{unit})*$")}),
        // A status may be 0. What is counted may not.
        Kind::Number(most) => {
            json!({"type": "integer", "minimum": u32::from(most != 255), "maximum": most})
        }
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Text if key.name == "key_prefix" => {
            json!({"type": "string", "maxLength": 200, "pattern": "^[^{}]*$"})
        }
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Label => {
            json!({"type": "string", "minLength": 1, "maxLength": 183, "pattern": "^[!-~]+$"})
        }
        Kind::Path => json!({"type": "string", "minLength": 1}),
        Kind::Listen => {
            let ip = "[0-9.]+:[0-9]+|\\[[0-9a-fA-F:.]+\\]:[0-9]+";
            json!({"type": "string", "pattern": format!("^([0-9]+|localhost:[0-9]+|{ip})$")})
        }
        Kind::Choice(choices) => json!({"enum": choices}),
    }
}

#[test]
fn the_table_of_the_options_has_each_flag_with_its_default() {
    let documentation = include_str!("../../../docs/cli.md");
    for key in KEYS.iter().filter(|key| key.group != Group::Hidden) {
        let flag = format!("{} {}", key.flag(), key.value);
        let flag = format!("| `{}` |", flag.trim_end());
        let row = documentation.lines().find(|line| line.starts_with(&flag));
        let row = row.unwrap_or_else(|| panic!("docs/cli.md has no row {flag}"));
        let shown = row[flag.len()..].split('|').next().unwrap().trim();
        match (key.kind, key.default) {
            (Kind::Switch, _) => assert_eq!(shown, "", "{row}"),
            // The text of the help, or of this table, says what happens instead.
            (_, None) | (Kind::Stores, _) => {}
            (_, Some(default)) => assert_eq!(shown, format!("`{default}`"), "{row}"),
        }
    }
}
