//! The document and the program agree: endpoints, statuses, codes, parameters, examples.

use std::collections::{BTreeMap, BTreeSet};

use anb::{http::Code, language::Language};
use boon::{Compiler, Draft, Schemas};
use ring::digest;
use serde_json::{Value, json};

use super::{
    case::{Body, Case, Expected, Part, Who},
    cases,
    document::{DOCUMENT, TEXT, escape, path_of},
    sources, table,
};

/// Each published version of the document, and the SHA-256 of its file. To change the document,
/// raise `info.version` as `info.description` says, and add a line here.
const VERSIONS: [(&str, &str); 9] = [
    (
        "1.0.0",
        "01f6f0c941691573945842d798cf71fd41e9c12736068bf32d43a6ccf798a68e",
    ),
    (
        "1.1.0",
        "8e8be376a860f9bce16999456473ce20564a43c38565464335c48765e9ea5f0d",
    ),
    (
        "1.2.0",
        "da00a80db87e94cac1536eb2d1604bf269aff8ffcf996b6d99b2fcdf3779403a",
    ),
    (
        "1.3.0",
        "ca357ebd518bced2b0d3b32dd0ba0cfc4b2c482bc568f8a4eab4eeeed9dcda5a",
    ),
    (
        "1.4.0",
        "df63933ebb3b480a73b8b0142d2e11b8ba12cb4028593328cffb2122e5533a27",
    ),
    (
        "1.5.0",
        "88f8db99b3aef8d77e06f54ae21625474abe3a75fac7d7f106bc888d7b2250d2",
    ),
    (
        "1.6.0",
        "aceda974b55ab43efc5cfb99f89b09bce364df0b4d726b1a4770085b9c15aec2",
    ),
    (
        "1.7.0",
        "6a57946c3958fce41aeae647c613f6de0301332856c102a30f69f227ba4fefcc",
    ),
    (
        "1.8.0",
        "0e342f24da8c7937874a1e489d90fb3898e3c259c5e952bcebdc0f222b4485a2",
    ),
];

#[test]
fn document_is_valid_openapi() {
    let schema = serde_json::from_str(include_str!("openapi-3.1-schema.json")).unwrap();
    let url = "https://spec.openapis.org/oas/3.1/schema";
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.add_resource(url, schema).unwrap();
    let mut schemas = Schemas::new();
    let index = compiler.compile(url, &mut schemas).unwrap();
    let valid = schemas.validate(&DOCUMENT.root, index);
    assert!(valid.is_ok(), "{:#}", valid.unwrap_err());
}

#[test]
fn version_grows_with_each_change() {
    let (version, hash) = VERSIONS.last().unwrap();
    let found = hex::encode(digest::digest(&digest::SHA256, TEXT.as_bytes()));
    assert_eq!(DOCUMENT.root["info"]["version"], *version);
    assert_eq!(found, *hash, "raise info.version, and add it to VERSIONS");
    let numbers = VERSIONS.map(|(version, _)| {
        let numbers = version.split('.').map(|part| part.parse::<u32>().unwrap());
        numbers.collect::<Vec<_>>()
    });
    assert!(numbers.is_sorted_by(|before, after| before < after));
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let mut used = BTreeSet::new();
    collect_references(&DOCUMENT.root, &mut used);
    let mut components = BTreeSet::new();
    for (kind, members) in DOCUMENT.root["components"].as_object().unwrap() {
        for name in members.as_object().unwrap().keys() {
            components.insert(format!("#/components/{kind}/{name}"));
        }
    }
    // No operation has this status: it is for methods that a path lacks.
    used.insert("#/components/examples/method_not_allowed".to_owned());
    // Operations name them in `security`.
    for scheme in ["bearer", "session"] {
        used.insert(format!("#/components/securitySchemes/{scheme}"));
    }
    assert_eq!(used, components);
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(target) if key == "$ref" => {
                        found.insert(target.clone());
                    }
                    _ => collect_references(member, found),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn operations_are_the_routes_of_the_server() {
    let operations = DOCUMENT.operations();
    let mut documented: Vec<_> = operations
        .iter()
        .map(|operation| (operation.method.to_string(), operation.path.to_owned()))
        .collect();
    documented.sort();
    let mut routes: Vec<_> = sources::endpoints()
        .into_iter()
        .map(|(method, route)| (method, path_of(&route)))
        .collect();
    routes.sort();
    assert_eq!(documented, routes);
    let ids: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), operations.len(), "operationIds are not unique");
}

#[test]
fn callers_may_send_a_token_or_a_session_cookie() {
    for case in table::successes() {
        let operation = DOCUMENT.operation(&case.method, case.route).unwrap();
        let expected = match case.who {
            Who::Nobody => Value::Null,
            _ => json!([{"bearer": []}, {"session": []}]),
        };
        assert_eq!(operation.value["security"], expected, "{}", operation.id);
    }
}

#[test]
fn rows_show_exactly_the_documented_statuses_and_codes() {
    let mut shown: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for case in cases() {
        let Some(operation) = DOCUMENT.operation(&case.method, case.route) else {
            continue;
        };
        // A wrong method belongs to no operation.
        if case.status == 405 {
            continue;
        }
        let codes = shown.entry((operation.id, case.status)).or_default();
        if let Expected::Error(code, _) = case.expected {
            codes.insert(code.name().to_owned());
        }
    }
    let mut documented = BTreeMap::new();
    for operation in DOCUMENT.operations() {
        for status in operation.statuses() {
            let codes = operation.codes(&DOCUMENT, status);
            documented.insert((operation.id, status), codes);
        }
    }
    println!(
        "{} operations, {} statuses, {} codes of statuses",
        DOCUMENT.operations().len(),
        documented.len(),
        documented.values().map(BTreeSet::len).sum::<usize>()
    );
    for key in shown.keys().chain(documented.keys()) {
        assert_eq!(shown.get(key), documented.get(key), "{key:?}");
    }
}

#[test]
fn codes_are_those_of_the_program() {
    let names = |schema: &str| -> BTreeSet<String> {
        let values = DOCUMENT.root["components"]["schemas"][schema]["enum"].as_array();
        let names = values.unwrap().iter().map(|value| value.as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    let variants = |file, name| -> BTreeSet<String> {
        let variants = sources::variants(file, name);
        let names = variants.iter().map(|variant| sources::snake_case(variant));
        names.collect()
    };
    let codes = Code::ALL.iter().map(|code| code.name().to_owned());
    assert_eq!(names("ErrorCode"), codes.collect());
    assert_eq!(names("FieldCode"), variants("validate.rs", "Problem"));
    let failures = variants("videos/failure.rs", "Failure");
    let rejections = variants("media/input/rejection.rs", "Rejection");
    let mut failures: BTreeSet<_> = failures.union(&rejections).cloned().collect();
    failures.remove("rejected");
    assert_eq!(names("FailureCode"), failures);
    let statuses = variants("videos/status.rs", "VideoStatus");
    assert_eq!(names("VideoStatus"), statuses);
    assert_eq!(names("Role"), variants("auth/role.rs", "Role"));
}

#[test]
fn every_code_has_its_example() {
    let examples = &DOCUMENT.root["components"]["examples"];
    for code in Code::ALL {
        let example = &examples[code.name()];
        let mut value = example["value"].clone();
        let error = DOCUMENT.schema_error("/components/schemas/Error", &value);
        assert_eq!(error, None);
        let id = value["request_id"].clone();
        value.as_object_mut().unwrap().remove("fields");
        let message = code.message(Language::Spanish);
        assert_eq!(
            value,
            json!({
                "type": format!("/errors/{}", code.name()),
                "title": message,
                "status": code.status().as_u16(),
                "code": code.name(),
                "error": message,
                "message": message,
                "instance": format!("urn:uuid:{}", id.as_str().unwrap()),
                "request_id": id,
            })
        );
        let english = code.message(Language::English);
        assert_eq!(example["summary"], format!("{}: {english}", code.name()));
    }
}

#[test]
fn every_example_is_valid() {
    let mut count = 0;
    check_examples(&DOCUMENT.root, "", &mut count);
    assert!(count > 20, "{count} examples");
}

fn check_examples(value: &Value, pointer: &str, count: &mut usize) {
    if let (Some(example), Some(_)) = (value.get("example"), value.get("schema")) {
        let error = DOCUMENT.schema_error(&format!("{pointer}/schema"), example);
        assert_eq!(error, None, "{pointer}");
        *count += 1;
    }
    for (key, child) in value.as_object().into_iter().flatten() {
        check_examples(child, &format!("{pointer}/{}", escape(key)), count);
    }
}

#[test]
fn query_parameters_are_those_that_handlers_read() {
    let documented: BTreeSet<_> = DOCUMENT
        .operations()
        .iter()
        .flat_map(|operation| DOCUMENT.parameters(operation, "query").into_keys())
        .collect();
    assert_eq!(documented, sources::query_parameters());
}

#[test]
fn requests_agree_with_the_document() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Some(is_valid) = is_request_valid(&case) else {
            continue;
        };
        let is_refused = match case.expected {
            Expected::Error(
                Code::InvalidJson
                | Code::InvalidMetadata
                | Code::NothingToChange
                | Code::UnsupportedMediaType
                | Code::UnsupportedTusVersion
                | Code::ValidationFailed,
                _,
            ) => true,
            _ if case.status < 300 => false,
            _ => continue,
        };
        let expected = !is_refused || case.beyond_schema.is_some();
        if is_valid != expected {
            let Case {
                route,
                headers,
                body,
                tail,
                ..
            } = case;
            wrong.push(format!("{route} {headers:?} {body:?} {tail}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns whether the document allows the body, the query and the headers of a row; none if it
/// has none of them, or a body of JSON operations that is no JSON.
fn is_request_valid(case: &Case) -> Option<bool> {
    let operation = DOCUMENT.operation(&case.method, case.route)?;
    let query = case.tail.strip_prefix('?');
    let (media_type, body) = match &case.body {
        Body::Json(value) => {
            let text = value.to_string().replace("{n}", "1");
            ("application/json", serde_json::from_str(&text).ok())
        }
        Body::Form(parts) => ("multipart/form-data", Some(form(parts))),
        Body::Raw(media_type, text) if operation.body_schema("application/json").is_none() => {
            (*media_type, Some(text.as_str().into()))
        }
        Body::None => ("", None),
        Body::Raw(..) | Body::Endless(..) => return None,
    };
    let headers = DOCUMENT.parameters(&operation, "header");
    if query.is_none() && body.is_none() && headers.is_empty() {
        return None;
    }
    let is_body_valid = body.is_none_or(|body| {
        let schema = operation.body_schema(media_type);
        schema.is_some_and(|schema| DOCUMENT.schema_error(&schema, &body).is_none())
    });
    let parameters = DOCUMENT.parameters(&operation, "query");
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let is_query_valid = pairs
        .clone()
        .all(|(name, value)| is_parameter_valid(&parameters[name], Some(value)));
    let are_headers_valid = headers.iter().all(|(name, pointer)| {
        let is_it = |header: &&(&str, String)| name.eq_ignore_ascii_case(header.0);
        let header = case.headers.iter().find(is_it);
        is_parameter_valid(pointer, header.map(|(_, value)| value.as_str()))
    });
    Some(is_body_valid && is_query_valid && are_headers_valid)
}

/// Returns whether the document allows a value of the parameter at `pointer`, or that it is absent.
fn is_parameter_valid(pointer: &str, value: Option<&str>) -> bool {
    let Some(value) = value else {
        return DOCUMENT.root.pointer(pointer).unwrap()["required"] != true;
    };
    let schema = format!("{pointer}/schema");
    let value = DOCUMENT.parsed(&schema, value);
    DOCUMENT.schema_error(&schema, &value).is_none()
}

/// Returns a form as the document describes it: an object, with files as text. The description of
/// `video_file` says that `file` is another name.
fn form(parts: &[(&'static str, Part)]) -> Value {
    let members = parts.iter().map(|(name, part)| {
        let text = match part {
            Part::Text(text) => *text,
            Part::File(_) => "",
        };
        let name = if *name == "file" { "video_file" } else { *name };
        (name.to_owned(), Value::from(text))
    });
    Value::Object(members.collect())
}
