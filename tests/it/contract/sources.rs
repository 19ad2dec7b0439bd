//! The endpoints and codes to cover, read from the sources.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::files_below;

/// Returns method and route of every endpoint in `src/server.rs`, sorted.
pub fn endpoints() -> Vec<(String, String)> {
    let text = source("server.rs");
    let (root, rest) = text.split_once("fn api(").unwrap();
    let (api, _) = rest.split_once("\n}").unwrap();
    let mut found = Vec::new();
    for (prefix, part) in [("", root), ("/api", api)] {
        for resource in part.split("resource(\"").skip(1) {
            let (route, methods) = resource.split_once('"').unwrap();
            for method in methods.split(".route(").skip(1) {
                let method = match method.trim_start().trim_start_matches("web::") {
                    call if call.starts_with("read()") => "GET",
                    call if call.starts_with("post()") => "POST",
                    call if call.starts_with("put()") => "PUT",
                    call if call.starts_with("patch()") => "PATCH",
                    call if call.starts_with("delete()") => "DELETE",
                    call if call.starts_with("head()") => "HEAD",
                    call if call.starts_with("method(Method::OPTIONS)") => "OPTIONS",
                    other => panic!("unknown method: {other}"),
                };
                found.push((method.to_owned(), format!("{prefix}{route}")));
            }
        }
    }
    found.sort();
    assert_eq!(found.len(), text.matches(".route(").count());
    found
}

/// Returns method and route of every page in `src/web.rs`, sorted.
pub fn page_routes() -> Vec<(String, String)> {
    let text = source("web.rs");
    let (_, rest) = text.split_once("pub fn routes(").unwrap();
    let (routes, _) = rest.split_once("\n/// A resource").unwrap();
    let mut found = Vec::new();
    for resource in routes.split(".service(").skip(1) {
        let route = resource.split('"').nth(1).unwrap();
        for method in resource.split(".route(").skip(1) {
            let method = match method {
                call if call.starts_with("read()") => "GET",
                call if call.starts_with("post()") => "POST",
                other => panic!("unknown method: {other}"),
            };
            found.push((method.to_owned(), route.to_owned()));
        }
    }
    found.sort();
    assert_eq!(found.len(), routes.matches(".route(").count());
    found
}

/// Returns the variants of an enum in a file, in declaration order.
pub fn variants(file: &str, name: &str) -> Vec<String> {
    let text = source(file);
    let (_, rest) = text.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    // Variants are indented once, their fields twice.
    let variants = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        line.starts_with(char::is_uppercase).then(|| {
            let end = line.find(|letter: char| !letter.is_alphanumeric());
            line[..end.unwrap_or(line.len())].to_owned()
        })
    });
    variants.collect()
}

/// Returns a route with the value of each of its parameters, given by name.
pub fn with_parameters(route: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = route.split('{');
    let mut path = parts.next().unwrap().to_owned();
    for part in parts {
        let (parameter, rest) = part.split_once('}').unwrap();
        let name = parameter.split(':').next().unwrap();
        path += &value(name);
        path += rest;
    }
    path
}

/// Returns the query parameters: the fields of all structs whose name ends in `Query`.
pub fn query_parameters() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files_below(&folder) {
        let text = source(&file);
        for part in text.split("struct ").skip(1) {
            let Some((name, rest)) = part.split_once(" {\n") else {
                continue;
            };
            if !name.ends_with("Query") || name.contains(' ') {
                continue;
            }
            let (fields, _) = rest.split_once("\n}").unwrap();
            let names = fields
                .lines()
                .filter_map(|line| line.trim().split_once(": "));
            found.extend(names.map(|(name, _)| name.trim_start_matches("pub ").to_owned()));
        }
    }
    found
}

/// Returns the stable name of a variant.
pub fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    fs::read_to_string(path).unwrap()
}
