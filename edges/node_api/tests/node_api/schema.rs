//! Whether a value is what a schema of an OpenAPI document says; of the schemas, as much as this document uses.

use serde_json::Value;

/// What is wrong with a value, where it is; nothing if it is right. `root` is the document.
pub fn wrong(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        let named = root.pointer(pointer).unwrap_or_else(|| panic!("{name} is not there"));
        return wrong(root, named, value, place);
    }
    for (word, fewest, most) in [("anyOf", 1, usize::MAX), ("oneOf", 1, 1)] {
        if let Some(schemas) = schema[word].as_array() {
            let faults: Vec<_> =
                schemas.iter().filter_map(|schema| wrong(root, schema, value, place)).collect();
            let fitting = schemas.len() - faults.len();
            return (fitting < fewest || fitting > most)
                .then(|| format!("{place}: {fitting} of {word} fit: {faults:?}"));
        }
    }
    let fault = |expected: &str| Some(format!("{place}: {value} is no {expected}"));
    match schema["type"].as_str().unwrap() {
        "string" if !value.is_string() => fault("string"),
        "string" if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) => {
            fault("such word")
        }
        "boolean" if !value.is_boolean() => fault("boolean"),
        "number" if !value.is_number() => fault("number"),
        "integer" => (!is_integer(schema, value)).then(|| format!("{place}: {value} is not as {schema}")),
        "array" => {
            let Some(values) = value.as_array() else { return fault("array") };
            values.iter().find_map(|value| wrong(root, &schema["items"], value, place))
        }
        "object" => object(root, schema, value, place),
        _ => None,
    }
}

fn is_integer(schema: &Value, value: &Value) -> bool {
    let digits = |value: &Value| value.as_number().and_then(|number| number.to_string().parse::<i128>().ok());
    let Some(number) = digits(value) else { return false };
    digits(&schema["minimum"]).is_none_or(|least| least <= number)
        && digits(&schema["maximum"]).is_none_or(|most| number <= most)
}

/// Stricter than the language of schemas: an object has no fields that are not described, if any are.
fn object(root: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let Some(fields) = value.as_object() else { return Some(format!("{place}: {value} is no object")) };
    let described = schema["properties"].as_object().unwrap();
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Some(format!("{place}: {name} is missing"));
        }
    }
    fields.iter().find_map(|(name, value)| match described.get(name) {
        Some(schema) => wrong(root, schema, value, &format!("{place}.{name}")),
        None if described.is_empty() || is_open(place) => None,
        None => Some(format!("{place}.{name} is not described")),
    })
}

/// The fields of a transaction are those of its kind, and those of an error are those of its rule.
fn is_open(place: &str) -> bool {
    place.ends_with(".tx") || place.ends_with(".info")
}
