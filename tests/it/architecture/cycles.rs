//! Finds dependency cycles among the modules of a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
    ops::Bound,
};

use super::paths::{Module, Path, joined};

/// A module without submodules. In a module with submodules each item is a node, because it defines
/// what they share and also combines them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    module: Path,
    item: Option<String>,
}

/// A node and one that it uses.
pub type Dependency = (Node, Node);

/// Returns which node uses which.
pub fn dependencies(modules: &[Module]) -> BTreeSet<Dependency> {
    let by_path: BTreeMap<_, _> = modules
        .iter()
        .map(|module| (&*module.path, module))
        .collect();
    let mut found = BTreeSet::new();
    for module in modules {
        for (item, used) in &module.items {
            let from = Node {
                module: module.path.clone(),
                item: has_submodules(module, &by_path).then(|| item.clone()),
            };
            let used = used.iter().filter_map(|path| node(path, &by_path));
            found.extend(used.map(|to| (from.clone(), to)));
        }
    }
    found
}

/// Returns the node that a path leads to, or none for the name of a module alone.
fn node(path: &[String], modules: &BTreeMap<&[String], &Module>) -> Option<Node> {
    let mut lengths = (1..=path.len()).rev();
    let length = lengths.find(|length| modules.contains_key(&path[..*length]))?;
    let module = modules[&path[..length]];
    let name = path.get(length)?;
    let mut item = None;
    if has_submodules(module, modules) {
        let here = joined(&module.path, &[name]);
        if let Some(origin) = module.names.get(name).filter(|origin| **origin != here) {
            return node(&joined(origin, &path[length + 1..]), modules);
        }
        item = Some(name.clone());
    }
    Some(Node {
        module: module.path.clone(),
        item,
    })
}

fn has_submodules(module: &Module, modules: &BTreeMap<&[String], &Module>) -> bool {
    let path = &*module.path;
    let after = (Bound::Excluded(path), Bound::Unbounded);
    let next = modules.range::<[String], _>(after).next();
    next.is_some_and(|(next, _)| next.starts_with(path))
}

/// Returns the dependencies that are part of a cycle within some folder, where a module and all
/// modules below it count as one. A cycle among the items of one file is none.
pub fn cycles(dependencies: &BTreeSet<Dependency>) -> Vec<String> {
    let nodes = dependencies.iter().flat_map(|(from, to)| [from, to]);
    let folders =
        nodes.flat_map(|node| (1..=node.module.len()).map(|length| &node.module[..length]));
    let folders: BTreeSet<_> = folders.collect();
    let mut found = Vec::new();
    for folder in folders {
        let inside = dependencies
            .iter()
            .filter_map(|uses| Some((uses, uses.0.part(folder)?, uses.1.part(folder)?)));
        let edges: BTreeSet<_> = inside.clone().map(|(_, from, to)| (from, to)).collect();
        for ((from, to), one, other) in inside {
            let is_within_file = matches!((one, other), (Part::Item(_), Part::Item(_)));
            if one != other && !is_within_file && reaches(&edges, other, one) {
                found.push(format!("{from} uses {to}"));
            }
        }
    }
    found
}

/// A part of a folder: a module with all modules below it, or an item of the folder's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Module(&'a str),
    Item(&'a str),
}

impl Node {
    fn part(&self, folder: &[String]) -> Option<Part<'_>> {
        match self.module.strip_prefix(folder)? {
            [child, ..] => Some(Part::Module(child)),
            [] => Some(Part::Item(self.item.as_ref()?)),
        }
    }
}

impl Display for Node {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.module.join("::"))?;
        match self.item.as_deref() {
            // Use declarations and macros have no name.
            None | Some("") => Ok(()),
            Some(item) => write!(formatter, "::{item}"),
        }
    }
}

fn reaches(edges: &BTreeSet<(Part, Part)>, from: Part, to: Part) -> bool {
    let mut reached = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(part) = open.pop() {
        let next = edges.iter().filter(|(from, _)| *from == part);
        open.extend(next.map(|(_, to)| *to).filter(|to| reached.insert(*to)));
    }
    reached.contains(&to)
}

#[test]
fn cycles_are_found_in_every_form() {
    let found = |files: &[(&str, &str)]| {
        let modules = files.iter().map(|(path, code)| {
            let path = path.split("::").map(str::to_owned);
            Module::parse(path.collect(), code)
        });
        let modules: Vec<_> = modules.collect();
        cycles(&dependencies(&modules))
    };
    let parent = (
        "a",
        "mod b; mod c; pub use self::b::B; pub struct Shared(u8); pub fn all() { c::f(); }",
    );
    let none = [
        parent,
        ("a::b", "use super::Shared;"),
        ("a::c", "use super::{B, Shared};"),
    ];
    assert!(found(&none).is_empty());
    let siblings = [
        parent,
        ("a::b", "fn f() { super::c::f() }"),
        ("a::c", "use super::B;"),
    ];
    assert_eq!(found(&siblings), ["a::b uses a::c", "a::c uses a::b"]);
    let with_parent = [parent, ("a::b", ""), ("a::c", "use crate::a::all;")];
    assert_eq!(
        found(&with_parent),
        ["a::all uses a::c", "a::c uses a::all"]
    );
    // No files form a cycle, but folders do.
    let folders = [
        ("a", "mod b; mod c;"),
        ("a::b", "mod one; mod two;"),
        ("a::b::one", "use crate::a::c::C;"),
        ("a::b::two", ""),
        ("a::c", "use super::b::two::Two;"),
    ];
    let expected = ["a::b::one uses a::c", "a::c uses a::b::two"];
    assert_eq!(found(&folders), expected);
}
