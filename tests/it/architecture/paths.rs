//! Reads all paths in a source, with `crate::`, `self::`, `super::` and imported names resolved.

use std::collections::BTreeMap;

/// The segments of a path below `crate`.
pub type Path = Vec<String>;

/// The keywords before an item's name.
const KINDS: [&str; 9] = [
    "const", "enum", "fn", "impl", "mod", "static", "struct", "trait", "type",
];

/// A module that has a file of its own.
pub struct Module {
    pub path: Path,
    /// The items that it defines and imports, with the paths of their definitions.
    pub names: BTreeMap<String, Path>,
    /// Its items, with the paths that each of them uses.
    pub items: Vec<(String, Vec<Path>)>,
}

impl Module {
    pub fn parse(path: Path, code: &str) -> Self {
        let tokens = tokens(code);
        let mut names = BTreeMap::new();
        for item in items(&tokens) {
            let name = name(item);
            if name.is_empty() {
                for (name, used) in paths(item) {
                    if let Some(used) = resolve(&used, &path, &names) {
                        names.insert(name.to_owned(), used);
                    }
                }
            } else {
                names.insert(name.to_owned(), joined(&path, &[name]));
            }
        }
        let used = |item| {
            let found = paths(item).into_iter();
            let found = found.filter_map(|(_, used)| resolve(&used, &path, &names));
            (name(item).to_owned(), found.collect())
        };
        let items = items(&tokens).map(used).collect();
        Self { path, names, items }
    }

    /// Returns all paths that the module uses.
    pub fn used(&self) -> impl Iterator<Item = &Path> {
        self.items.iter().flat_map(|(_, used)| used)
    }
}

/// Resolves a path in the module `here`. Returns `None` for other crates and local variables.
fn resolve(path: &[&str], here: &[String], names: &BTreeMap<String, Path>) -> Option<Path> {
    let supers = path
        .iter()
        .take_while(|segment| **segment == "super")
        .count();
    match path {
        ["crate", rest @ ..] => Some(joined(&[], rest)),
        ["self", rest @ ..] if !rest.is_empty() => Some(joined(here, rest)),
        _ if supers > 0 => Some(joined(
            &here[..here.len().saturating_sub(supers)],
            &path[supers..],
        )),
        [first, rest @ ..] => Some(joined(names.get(*first)?, rest)),
        [] => None,
    }
}

/// Returns `path` with more segments.
pub fn joined(path: &[String], rest: &[impl AsRef<str>]) -> Path {
    let rest = rest.iter().map(|segment| segment.as_ref().to_owned());
    path.iter().cloned().chain(rest).collect()
}

/// Splits code into items. Each ends with `;` or `}` outside of brackets.
fn items<'a>(tokens: &'a [&'a str]) -> impl Iterator<Item = &'a [&'a str]> {
    let mut depth = 0;
    tokens.split_inclusive(move |token| {
        depth += nesting(token);
        depth == 0 && [";", "}"].contains(token)
    })
}

fn nesting(token: &str) -> i32 {
    match token {
        "(" | "[" | "{" => 1,
        ")" | "]" | "}" => -1,
        _ => 0,
    }
}

/// Returns an item's name, the type of an `impl`, or nothing for a `use` declaration or a macro.
fn name<'a>(item: &[&'a str]) -> &'a str {
    let mut depth = 0;
    let is_kind = |token: &&str| {
        depth += nesting(token);
        depth == 0 && KINDS.contains(token)
    };
    let Some(kind) = item.iter().position(is_kind) else {
        return "";
    };
    let mut tokens = item[kind..].iter();
    if item[kind] != "impl" {
        return tokens.find(|token| !KINDS.contains(token)).unwrap_or(&"");
    }
    let mut generics = 0;
    let header = tokens.take_while(|token| !["{", "where"].contains(token));
    let names = header.filter(|token| {
        generics += i32::from(**token == "<") - i32::from(**token == ">");
        generics == 0 && is_name(token)
    });
    names.last().unwrap_or(&"")
}

/// Returns all paths in an item, each with the name that a `use` declaration would give it.
fn paths<'a>(tokens: &[&'a str]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_member = at > 0 && [".", "::"].contains(&tokens[at - 1]);
        at += if is_name(tokens[at]) && !is_member {
            tree(&tokens[at..], &[], &mut found)
        } else {
            1
        };
    }
    found
}

/// Reads the path, or the tree of a `use` declaration, at the start of `tokens`. Returns its length.
fn tree<'a>(
    tokens: &[&'a str],
    prefix: &[&'a str],
    found: &mut Vec<(&'a str, Vec<&'a str>)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        if tokens[at] == "{" {
            at += 1;
            while tokens[at] != "}" {
                at += tree(&tokens[at..], &path, found);
                at += usize::from(tokens[at] == ",");
            }
            return at + 1;
        }
        path.push(tokens[at]);
        at += 1;
        let is_segment = |token: &&str| is_name(token) || ["{", "*"].contains(token);
        match tokens.get(at..) {
            // Anything else is a generic argument.
            Some(["::", next, ..]) if is_segment(next) => at += 1,
            _ => break,
        }
    }
    if path.len() > 1 && path.last() == Some(&"self") {
        path.pop();
    }
    let name = match tokens.get(at..) {
        Some(["as", name, ..]) => {
            at += 2;
            name
        }
        _ => path[path.len() - 1],
    };
    found.push((name, path));
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Splits code into words and signs, without comments, literals and lifetimes.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = if let Some(length) = skipped(rest) {
            (length, false)
        } else if let length @ 1.. = word(rest) {
            (length, true)
        } else if ["::", "->", ".."].iter().any(|sign| rest.starts_with(sign)) {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (token, after) = rest.split_at(length);
        found.extend(is_token.then_some(token));
        rest = after;
    }
    found
}

/// Returns the length of the word at the start of `text`, which may be zero.
fn word(text: &str) -> usize {
    text.find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len())
}

/// Returns the length of the comment, literal or lifetime at the start of `text`.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let literal = text.strip_prefix('b').unwrap_or(text);
    let prefix = text.len() - literal.len();
    if let Some(raw) = literal.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let content = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text.len() - content.len() + content.find(&end)? + end.len());
    }
    let quote = literal
        .chars()
        .next()
        .filter(|letter| ['"', '\''].contains(letter))?;
    let mut escaped = false;
    let end = literal[1..].find(|letter| {
        let ends = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    let lifetime = 1 + word(&literal[1..]);
    let is_lifetime = quote == '\'' && lifetime > 1 && !literal[lifetime..].starts_with('\'');
    Some(prefix + if is_lifetime { lifetime } else { end? + 2 })
}

#[test]
fn every_form_of_a_path_is_resolved() {
    let code = r##"
        use std::{fmt, path::Path};
        // crate::comment
        mod child;
        pub use self::child::Re as Export;
        use super::{sibling::{self, One}, Two};
        use crate::{
            app::App,
            http::{Code, page::Page},
            ids,
        };
        use crate::*;
        #[arg(value_parser = super::attribute)]
        fn f<'a>(_: &'a str, '"': One) -> crate::generic::Vec<super::super::Up> {
            sibling::f(child::g::<u8>(), "crate::text", r#"crate::"raw"#, b'\'', x.sibling, 0..Two);
        }
    "##;
    let module = Module::parse(vec!["a".to_owned(), "b".to_owned()], code);
    let mut used: Vec<_> = module.used().map(|path| path.join("::")).collect();
    used.sort();
    used.dedup();
    let expected = [
        "*",
        "Up",
        "a::Two",
        "a::attribute",
        "a::b::child",
        "a::b::child::Re",
        "a::b::child::g",
        "a::b::f",
        "a::sibling",
        "a::sibling::One",
        "a::sibling::f",
        "app::App",
        "generic::Vec",
        "http::Code",
        "http::page::Page",
        "ids",
    ];
    assert_eq!(used, expected);
}
