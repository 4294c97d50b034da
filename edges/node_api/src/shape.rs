//! What JSON looks like: the words in which answers and bodies are described in the document.

use serde_json::{Map, Value, json};

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// As this entry of the schemas.
    Named(&'static str),
    /// A text, and what stands in it.
    Text(&'static str),
    /// One of some words.
    Word(&'static [&'static str]),
    /// An integer of these limits, if there are any: bare digits, or a string where integers are asked for as such.
    Integer(Option<i128>, Option<i128>),
    /// A number with a fraction.
    Fraction,
    /// True or false.
    Flag,
    /// Any number of values of the same shape.
    List(&'static Shape),
    /// Named fields. There may be more.
    Object(&'static [Field]),
    /// One of some shapes.
    Either(&'static [Shape]),
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub shape: Shape,
    /// Whether it is always there.
    pub is_required: bool,
}

/// A field that is always there.
pub(crate) const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: true }
}

/// A field that may be there.
pub(crate) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: false }
}

impl Shape {
    /// Its schema in the document.
    pub fn to_json(self) -> Value {
        match self {
            Shape::Named(name) => json!({ "$ref": format!("#/components/schemas/{name}") }),
            Shape::Text("") => json!({ "type": "string" }),
            Shape::Text(says) => json!({ "type": "string", "description": says }),
            Shape::Word(words) => json!({ "type": "string", "enum": words }),
            Shape::Integer(least, most) => json!({ "oneOf": [integer(least, most), { "type": "string" }] }),
            Shape::Fraction => json!({ "type": "number" }),
            Shape::Flag => json!({ "type": "boolean" }),
            Shape::List(item) => json!({ "type": "array", "items": item.to_json() }),
            Shape::Object(fields) => object(fields),
            Shape::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(|shape| shape.to_json()).collect::<Value>() })
            }
        }
    }
}

fn integer(least: Option<i128>, most: Option<i128>) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "integer".into());
    for (name, limit) in [("minimum", least), ("maximum", most)] {
        if let Some(limit) = limit {
            schema.insert(name.to_owned(), json!(limit));
        }
    }
    schema.into()
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.name.to_owned(), field.shape.to_json())).collect();
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    // An empty list is not allowed.
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}
