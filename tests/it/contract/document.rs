//! The published document as the judge of responses and requests. The tests see a stricter document
//! than clients: objects have no members but the listed ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use reqwest::Method;
use serde_json::{Map, Value};

use crate::support::Response;

/// The document as published.
pub const TEXT: &str = include_str!("../../../api/openapi.json");

/// URL of the document for the validator.
const URL: &str = "anb:/openapi.json";

/// Methods of operations; the other keys of a path are not operations.
const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];

/// Headers that depend on transport or on the encoding, and those that all responses have and the
/// document describes once.
const GENERAL_HEADERS: [&str; 10] = [
    "access-control-expose-headers",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
];

pub static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::load);

pub struct Document {
    pub root: Value,
    schemas: Schemas,
    /// Compiled schemas by JSON pointer.
    indexes: BTreeMap<String, SchemaIndex>,
}

/// One operation of the document.
pub struct Operation<'a> {
    pub method: Method,
    pub path: &'a str,
    pub id: &'a str,
    pub value: &'a Value,
    pointer: String,
}

/// The required members of a JSON body.
pub struct Members {
    pub names: BTreeSet<String>,
    /// Whether the body is a list of objects with these members.
    pub is_list: bool,
}

impl Document {
    fn load() -> Self {
        let root: Value = serde_json::from_str(TEXT).unwrap();
        let mut closed = root.clone();
        close_responses(&mut closed);
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(URL, closed).unwrap();
        let mut schemas = Schemas::new();
        let mut indexes = BTreeMap::new();
        let mut pointers = Vec::new();
        schema_pointers(&root, "", &mut pointers);
        for pointer in pointers {
            let url = format!("{URL}#{}", pointer.replace('{', "%7B").replace('}', "%7D"));
            let index = compiler.compile(&url, &mut schemas);
            let index = index.unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
            indexes.insert(pointer, index);
        }
        Self {
            root,
            schemas,
            indexes,
        }
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.root["paths"].as_object().unwrap() {
            for name in METHODS {
                if let Some(value) = item.get(name) {
                    operations.push(Operation {
                        method: name.to_uppercase().parse().unwrap(),
                        path,
                        id: value["operationId"].as_str().unwrap(),
                        value,
                        pointer: format!("/paths/{}/{name}", escape(path)),
                    });
                }
            }
        }
        operations
    }

    /// Returns the operation of a method and a route of `src/server.rs`. `HEAD` belongs to `GET` on
    /// a path without an operation of its own for it.
    pub fn operation(&self, method: &Method, route: &str) -> Option<Operation<'_>> {
        let path = path_of(route);
        let find = |method: &Method| {
            let mut operations = self.operations().into_iter();
            operations.find(|operation| operation.method == *method && operation.path == path)
        };
        match find(method) {
            None if method == Method::HEAD => find(&Method::GET),
            found => found,
        }
    }

    /// Returns the value at a pointer, or the component that it refers to, with its own pointer.
    pub fn resolve(&self, pointer: &str) -> (&Value, String) {
        let value = self.root.pointer(pointer);
        let value = value.unwrap_or_else(|| panic!("nothing at {pointer}"));
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => self.resolve(target.strip_prefix('#').unwrap()),
            None => (value, pointer.to_owned()),
        }
    }

    /// Returns why `value` is invalid by the schema at `pointer`, or nothing.
    pub fn schema_error(&self, pointer: &str, value: &Value) -> Option<String> {
        let index = self.indexes.get(pointer);
        let index = index.unwrap_or_else(|| panic!("no schema at {pointer}"));
        let error = self.schemas.validate(value, *index).err()?;
        Some(format!("{error:#}"))
    }

    /// Returns what is wrong with a response of `method` and `route`, according to the document. A
    /// path or a method that it lacks has the errors that `info.description` states.
    pub fn problems(&self, method: &Method, route: &str, answer: &Response) -> Vec<String> {
        let status = answer.status.as_u16();
        let Some(operation) = self.operation(method, route).filter(|_| status != 405) else {
            let mut problems = Vec::new();
            problems.extend(self.schema_error("/components/schemas/Error", &answer.body));
            if status == 405 && answer.header("allow").is_empty() {
                problems.push("no Allow".to_owned());
            }
            return problems;
        };
        let place = format!("{}/responses/{status}", operation.pointer);
        if self.root.pointer(&place).is_none() {
            return vec![format!("{}: undocumented status {status}", operation.id)];
        }
        let (response, pointer) = self.resolve(&place);
        let mut problems = self.header_problems(&pointer, answer);
        let deprecated = operation.value["deprecated"] == true;
        if deprecated == answer.header("deprecation").is_empty() {
            problems.push("Deprecation".to_owned());
        }
        if *method == Method::HEAD {
            return problems;
        }
        match response.get("content").and_then(Value::as_object) {
            None if answer.body.is_null() => {}
            None => problems.push("undocumented body".to_owned()),
            Some(content) => problems.extend(self.body_problem(&pointer, content, answer)),
        }
        problems
    }

    fn body_problem(
        &self,
        pointer: &str,
        content: &Map<String, Value>,
        answer: &Response,
    ) -> Option<String> {
        let content_type = answer.header("content-type");
        let media_type = content_type.split(';').next().unwrap_or_default();
        let Some(media) = content.get(media_type) else {
            return Some(format!("undocumented content type {content_type:?}"));
        };
        media.get("schema")?;
        let schema = format!("{pointer}/content/{}/schema", escape(media_type));
        self.schema_error(&schema, &answer.body)
    }

    fn header_problems(&self, pointer: &str, answer: &Response) -> Vec<String> {
        let mut problems = Vec::new();
        let (response, _) = self.resolve(pointer);
        let empty = Map::new();
        let documented = response["headers"].as_object().unwrap_or(&empty);
        for name in documented.keys() {
            let place = format!("{pointer}/headers/{}", escape(name));
            let (header, header_pointer) = self.resolve(&place);
            let text = answer.header(name);
            if text.is_empty() {
                if header["required"] == true {
                    problems.push(format!("no {name}"));
                }
                continue;
            }
            let schema = format!("{header_pointer}/schema");
            problems.extend(self.schema_error(&schema, &self.parsed(&schema, &text)));
        }
        for name in answer.headers.keys() {
            let is_known = documented
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name.as_str()));
            let is_default =
                *name == "cache-control" && answer.header("cache-control") == "no-store";
            if !is_known && !is_default && !GENERAL_HEADERS.contains(&name.as_str()) {
                problems.push(format!("undocumented header {name}"));
            }
        }
        problems
    }

    /// Returns a header or a parameter as the type that its schema names.
    pub fn parsed(&self, schema: &str, text: &str) -> Value {
        let kind = &self.resolve(schema).0["type"];
        let parsed = match kind.as_str() {
            Some("integer") => text.parse::<i64>().ok().map(Value::from),
            Some("boolean") => text.parse::<bool>().ok().map(Value::from),
            _ => None,
        };
        parsed.unwrap_or_else(|| text.into())
    }

    /// Returns the required members of objects of a schema.
    fn required(&self, pointer: &str) -> BTreeSet<String> {
        let (schema, pointer) = self.resolve(pointer);
        let names = schema["required"].as_array().into_iter().flatten();
        let own = names.map(|name| name.as_str().unwrap().to_owned());
        let branches = schema["allOf"].as_array().map_or(0, Vec::len);
        let inherited =
            (0..branches).flat_map(|index| self.required(&format!("{pointer}/allOf/{index}")));
        own.chain(inherited).collect()
    }

    /// Returns the names of all members of the schemas that are not those of a request.
    pub fn response_members(&self) -> BTreeSet<String> {
        let mut requests = BTreeSet::new();
        for operation in self.operations() {
            let content = operation.value["requestBody"]["content"].as_object();
            for (_, media) in content.into_iter().flatten() {
                requests.insert(media["schema"]["$ref"].as_str().unwrap().to_owned());
            }
        }
        let schemas = self.root["components"]["schemas"].as_object().unwrap();
        let mut names = BTreeSet::new();
        for (name, schema) in schemas {
            if !requests.contains(&format!("#/components/schemas/{name}")) {
                collect_properties(schema, &mut names);
            }
        }
        names
    }

    /// Returns name and pointer of the parameters of an operation in a `place`: `query` or `header`.
    pub fn parameters(&self, operation: &Operation<'_>, place: &str) -> BTreeMap<String, String> {
        let count = operation.value["parameters"].as_array().map_or(0, Vec::len);
        let parameters = (0..count)
            .map(|index| self.resolve(&format!("{}/parameters/{index}", operation.pointer)));
        parameters
            .filter(|(parameter, _)| parameter["in"] == place)
            .map(|(parameter, pointer)| (parameter["name"].as_str().unwrap().to_owned(), pointer))
            .collect()
    }

    /// Returns the names of the documented headers of all responses of an operation.
    pub fn response_headers(&self, operation: &Operation<'_>) -> BTreeSet<String> {
        let statuses = operation.statuses().into_iter();
        let headers = statuses.flat_map(|status| {
            let (response, _) = self.resolve(&format!("{}/responses/{status}", operation.pointer));
            response["headers"].as_object().into_iter().flatten()
        });
        headers.map(|(name, _)| name.clone()).collect()
    }
}

impl Operation<'_> {
    pub fn statuses(&self) -> BTreeSet<u16> {
        let responses = self.value["responses"].as_object().unwrap();
        responses.keys().map(|key| key.parse().unwrap()).collect()
    }

    /// Returns the error codes of a status: the names of its examples.
    pub fn codes(&self, document: &Document, status: u16) -> BTreeSet<String> {
        let place = format!("{}/responses/{status}", self.pointer);
        let (response, _) = document.resolve(&place);
        let examples = &response["content"]["application/json"]["examples"];
        let names = examples.as_object().into_iter().flat_map(Map::keys);
        names.cloned().collect()
    }

    /// Returns the required members of the JSON body of a status, if it has one. `HEAD` has none.
    pub fn members(&self, document: &Document, status: u16) -> Option<Members> {
        if self.method == Method::HEAD {
            return None;
        }
        let place = format!("{}/responses/{status}", self.pointer);
        let (_, pointer) = document.resolve(&place);
        let pointer = format!("{pointer}/content/application~1json/schema");
        document.root.pointer(&pointer)?;
        let (schema, pointer) = document.resolve(&pointer);
        let is_list = schema["type"] == "array";
        let pointer = if is_list {
            format!("{pointer}/items")
        } else {
            pointer
        };
        let names = document.required(&pointer);
        Some(Members { names, is_list })
    }

    /// Returns the pointer of the schema of the body, if the operation reads one.
    pub fn body_schema(&self, media_type: &str) -> Option<String> {
        let media = &self.value["requestBody"]["content"][media_type];
        media.get("schema")?;
        let place = escape(media_type);
        Some(format!(
            "{}/requestBody/content/{place}/schema",
            self.pointer
        ))
    }
}

/// Returns the document's path of a route of `src/server.rs`: `{key:.*}` is `{key}` there.
pub fn path_of(route: &str) -> String {
    route.replace(":.*}", "}")
}

/// Escapes a key for a JSON pointer (RFC 6901 §3).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Collects the pointers of all schemas that are not part of another.
fn schema_pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (escape(key), value))
            .collect(),
        Value::Array(items) => (0..)
            .zip(items)
            .map(|(index, value): (usize, _)| (index.to_string(), value))
            .collect(),
        _ => return,
    };
    for (key, child) in children {
        let place = format!("{pointer}/{key}");
        if key == "schema" || pointer == "/components/schemas" {
            found.push(place);
        } else if !["example", "examples"].contains(&key.as_str()) || pointer == "/components" {
            schema_pointers(child, &place, found);
        }
    }
}

fn collect_properties(schema: &Value, names: &mut BTreeSet<String>) {
    let members = schema["properties"].as_object();
    for (name, member) in members.into_iter().flatten() {
        names.insert(name.clone());
        collect_properties(member, names);
    }
    for branch in schema["allOf"].as_array().into_iter().flatten() {
        collect_properties(branch, names);
    }
}

/// Forbids unlisted members in the objects of responses, and in those within components.
fn close_responses(root: &mut Value) {
    for (_, item) in root["paths"].as_object_mut().unwrap() {
        for (_, operation) in item.as_object_mut().unwrap() {
            if let Some(responses) = operation.get_mut("responses") {
                close_contents(responses);
            }
        }
    }
    close_contents(&mut root["components"]["responses"]);
    for (_, schema) in root["components"]["schemas"].as_object_mut().unwrap() {
        close_children(schema);
    }
}

fn close_contents(responses: &mut Value) {
    for (_, response) in responses.as_object_mut().unwrap() {
        let content = response.get_mut("content").and_then(Value::as_object_mut);
        for (_, media) in content.into_iter().flatten() {
            if let Some(schema) = media.get_mut("schema") {
                close(schema);
            }
        }
    }
}

fn close(schema: &mut Value) {
    close_children(schema);
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if ["$ref", "properties", "allOf"]
        .iter()
        .any(|key| members.contains_key(*key))
    {
        members.insert("unevaluatedProperties".to_owned(), false.into());
    }
}

/// Closes the schemas of members and items. Branches such as those of `allOf` stay open, since each
/// sees the members of the others.
fn close_children(schema: &mut Value) {
    if let Some(items) = schema.get_mut("items") {
        close(items);
    }
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, member) in members.into_iter().flatten() {
        close(member);
    }
    let branches = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for branch in branches.into_iter().flatten() {
        close_children(branch);
    }
}
