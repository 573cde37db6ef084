//! The sources of the library as modules, and what of them can be named from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// A path from the root of the crate.
type Names = Vec<String>;

/// All modules, by their paths.
pub(crate) struct Source {
    modules: BTreeMap<Names, Vec<Item>>,
    /// The modules that can be named from outside.
    public: BTreeSet<Names>,
}

impl Source {
    pub(crate) fn read(src: &Path) -> Self {
        let mut source = Self {
            modules: BTreeMap::new(),
            public: BTreeSet::new(),
        };
        source.read_file(&src.join("lib.rs"), src, Vec::new());
        source.find_public(&Vec::new());
        source
    }

    fn read_file(&mut self, file: &Path, folder: &Path, module: Names) {
        let text = fs::read_to_string(file).unwrap();
        let items = syn::parse_file(&text).unwrap().items;
        self.add(items, folder, module);
    }

    fn add(&mut self, items: Vec<Item>, folder: &Path, module: Names) {
        for item in &items {
            let Item::Mod(inner) = item else { continue };
            if is_for_tests(&inner.attrs) {
                continue;
            }
            let name = inner.ident.to_string();
            let path = [module.as_slice(), std::slice::from_ref(&name)].concat();
            let below = folder.join(&name);
            match &inner.content {
                Some((_, items)) => self.add(items.clone(), &below, path),
                None if below.join("mod.rs").exists() => {
                    self.read_file(&below.join("mod.rs"), &below, path);
                }
                None => self.read_file(&below.with_extension("rs"), &below, path),
            }
        }
        self.modules.insert(module, items);
    }

    fn find_public(&mut self, module: &Names) {
        self.public.insert(module.clone());
        for item in self.modules[module].clone() {
            if let Item::Mod(inner) = item
                && is_public(&inner.vis)
                && !is_for_tests(&inner.attrs)
            {
                let name = inner.ident.to_string();
                self.find_public(&[module.as_slice(), &[name]].concat());
            }
        }
    }

    /// The public items without their documentation and bodies, and what the public types can do.
    pub(crate) fn listing(&self) -> String {
        let items = self.items_of(&Vec::new());
        let mut file: syn::File = syn::parse_str("").unwrap();
        file.items = items;
        prettyplease::unparse(&file)
    }

    fn items_of(&self, module: &Names) -> Vec<Item> {
        let mut listed = Vec::new();
        for item in &self.modules[module] {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let path = [module.as_slice(), &[name]].concat();
                    if self.public.contains(&path) {
                        let mut inner = inner.clone();
                        inner.attrs.retain(is_kept);
                        inner.content = Some((Default::default(), self.items_of(&path)));
                        inner.semi = None;
                        listed.push(Item::Mod(inner));
                    }
                }
                Item::Use(import) if is_public(&import.vis) => {
                    for path in leaves(&import.tree, &[]) {
                        let name = path.last().unwrap();
                        match self.resolve(module, &path) {
                            // What cannot be named where it stands is listed where it can.
                            Some(defined) if !self.public.contains(&defined) => {
                                self.list(&defined, name, &mut listed);
                            }
                            _ => listed.push(
                                syn::parse_str(&format!("pub use {};", path.join("::"))).unwrap(),
                            ),
                        }
                    }
                }
                other => {
                    if let Some((vis, name)) = named(other)
                        && is_public(vis)
                    {
                        self.list(module, &name, &mut listed);
                    }
                }
            }
        }
        listed
    }

    /// One item of a module, followed by what is implemented for it.
    fn list(&self, module: &Names, name: &str, listed: &mut Vec<Item>) {
        let item = self.modules[module]
            .iter()
            .find(|item| named(item).is_some_and(|(_, found)| found == name));
        let item = item.unwrap_or_else(|| panic!("there is no {name} in {module:?}"));
        listed.push(without_insides(item.clone()));
        for (at, items) in &self.modules {
            for item in items {
                let Item::Impl(block) = item else { continue };
                let Type::Path(of) = block.self_ty.as_ref() else {
                    continue;
                };
                let path: Names = of
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                let about = path.last().is_some_and(|last| last == name)
                    && self.resolve(at, &path).as_ref() == Some(module);
                if about && !is_for_tests(&block.attrs) {
                    listed.extend(self.what_it_offers(at, block.clone()));
                }
            }
        }
    }

    fn what_it_offers(&self, at: &Names, mut block: syn::ItemImpl) -> Option<Item> {
        let of_trait = block.trait_.is_some();
        if let Some((path, _)) = &block.trait_ {
            let path: Names = path.segments.iter().map(|s| s.ident.to_string()).collect();
            let defined = self.resolve(at, &path).map(|module| {
                let items = &self.modules[&module];
                items.iter().find_map(|item| match item {
                    Item::Trait(one) if Some(&one.ident.to_string()) == path.last() => {
                        Some(is_public(&one.vis))
                    }
                    _ => None,
                })
            });
            // A private trait of this crate does not matter here.
            if matches!(defined, Some(Some(false))) {
                return None;
            }
        }
        block.attrs.retain(is_kept);
        block.items.retain_mut(|item| match item {
            ImplItem::Fn(function) => {
                function.attrs.retain(is_kept);
                function.block.stmts.clear();
                !of_trait && is_public(&function.vis)
            }
            ImplItem::Const(constant) => {
                constant.attrs.retain(is_kept);
                of_trait || is_public(&constant.vis)
            }
            ImplItem::Type(_) => true,
            _ => false,
        });
        (of_trait || !block.items.is_empty()).then_some(Item::Impl(block))
    }

    /// The module that defines what is called by this path in `module`. `None` if it is another crate.
    fn resolve(&self, module: &Names, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let parent = || Some(module[..module.len().checked_sub(1)?].to_vec());
        match first.as_str() {
            "crate" => return self.resolve(&Vec::new(), rest),
            "self" => return self.resolve(module, rest),
            "super" => return self.resolve(&parent()?, rest),
            _ => {}
        }
        let items = self.modules.get(module)?;
        let child = [module.as_slice(), std::slice::from_ref(first)].concat();
        if !rest.is_empty() && self.modules.contains_key(&child) {
            return self.resolve(&child, rest);
        }
        if rest.is_empty()
            && items
                .iter()
                .any(|item| named(item).is_some_and(|(_, name)| name == *first))
        {
            return Some(module.clone());
        }
        let imported = items.iter().find_map(|item| {
            let Item::Use(import) = item else { return None };
            let mut paths = leaves(&import.tree, &[]).into_iter();
            paths.find(|path| path.last() == Some(first) && path.len() > 1)
        })?;
        self.resolve(module, &[imported.as_slice(), rest].concat())
    }
}

/// The paths that a `use` imports, each with the name that it gets.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<Names> {
    match tree {
        UseTree::Path(path) => {
            let here = [before, &[path.ident.to_string()]].concat();
            leaves(&path.tree, &here)
        }
        UseTree::Name(name) if name.ident == "self" => vec![before.to_vec()],
        UseTree::Name(name) => vec![[before, &[name.ident.to_string()]].concat()],
        UseTree::Rename(name) => vec![[before, &[name.ident.to_string()]].concat()],
        UseTree::Group(group) => {
            let each = group.items.iter();
            each.flat_map(|tree| leaves(tree, before)).collect()
        }
        _ => Vec::new(),
    }
}

fn named(item: &Item) -> Option<(&Visibility, String)> {
    let (vis, ident) = match item {
        Item::Const(one) => (&one.vis, &one.ident),
        Item::Enum(one) => (&one.vis, &one.ident),
        Item::Fn(one) => (&one.vis, &one.sig.ident),
        Item::Static(one) => (&one.vis, &one.ident),
        Item::Struct(one) => (&one.vis, &one.ident),
        Item::Trait(one) => (&one.vis, &one.ident),
        Item::Type(one) => (&one.vis, &one.ident),
        Item::Union(one) => (&one.vis, &one.ident),
        _ => return None,
    };
    Some((vis, ident.to_string()))
}

fn without_insides(mut item: Item) -> Item {
    match &mut item {
        Item::Const(one) => one.attrs.retain(is_kept),
        Item::Enum(one) => {
            one.attrs.retain(is_kept);
            for variant in &mut one.variants {
                variant.attrs.retain(is_kept);
                keep(&mut variant.fields, |_| true);
            }
        }
        Item::Fn(one) => {
            one.attrs.retain(is_kept);
            one.block.stmts.clear();
        }
        Item::Struct(one) => {
            one.attrs.retain(is_kept);
            keep(&mut one.fields, is_public);
        }
        Item::Trait(one) => {
            one.attrs.retain(is_kept);
            for item in &mut one.items {
                match item {
                    TraitItem::Fn(function) => {
                        function.attrs.retain(is_kept);
                        if let Some(default) = &mut function.default {
                            default.stmts.clear();
                        }
                    }
                    TraitItem::Const(constant) => constant.attrs.retain(is_kept),
                    TraitItem::Type(one) => one.attrs.retain(is_kept),
                    _ => {}
                }
            }
        }
        Item::Type(one) => one.attrs.retain(is_kept),
        _ => {}
    }
    item
}

fn keep(fields: &mut Fields, is_kept_field: impl Fn(&Visibility) -> bool) {
    let list = match fields {
        Fields::Named(named) => &mut named.named,
        Fields::Unnamed(unnamed) => &mut unnamed.unnamed,
        Fields::Unit => return,
    };
    let kept = std::mem::take(list).into_iter();
    *list = kept
        .filter(|field| is_kept_field(&field.vis))
        .map(|mut field| {
            field.attrs.retain(is_kept);
            field
        })
        .collect();
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// What callers notice of the attributes.
fn is_kept(attribute: &Attribute) -> bool {
    ["cfg", "derive", "must_use", "non_exhaustive"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

/// Whether something is compiled for tests and fuzz targets only.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                ["test", "_fuzzing"]
                    .iter()
                    .any(|one| condition.contains(one))
            })
    })
}
