//! `incumbent man` and `incumbent completions`: generated from the command line definition.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config::args::Arguments;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the manual page: the command, and each of its commands after it.
///
/// # Errors
///
/// When standard output cannot be written.
pub(crate) fn man() -> Result<Exit, Failure> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(Failure::internal)?;
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        section(sub, &mut page)?;
    }
    output::print_raw(&page)?;
    Ok(Exit::Success)
}

/// A subcommand as a section of the same page.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> Result<(), Failure> {
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let heading = format!(".SH \"{}\"\n", title.to_uppercase().replace('-', "\\-"));
    page.extend_from_slice(heading.as_bytes());
    let man = Man::new(command.clone());
    for render in [
        Man::render_description_section,
        Man::render_synopsis_section,
        Man::render_options_section,
    ] {
        let mut part = Vec::new();
        render(&man, &mut part).map_err(Failure::internal)?;
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        page.extend_from_slice(part.as_bytes());
    }
    // The help below the options, with the exit statuses.
    if command.get_after_help().is_some() {
        let mut part = Vec::new();
        man.render_extra_section(&mut part)
            .map_err(Failure::internal)?;
        let part = String::from_utf8_lossy(&part).replace(".SH EXTRA", ".SS NOTES");
        page.extend_from_slice(part.as_bytes());
    }
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        section(sub, page)?;
    }
    Ok(())
}

/// Prints a completion script.
///
/// # Errors
///
/// When standard output cannot be written.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "incumbent", &mut script);
    output::print_raw(&script)?;
    Ok(Exit::Success)
}
