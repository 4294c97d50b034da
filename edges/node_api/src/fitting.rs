//! Whether a body has the shape that the document says.

use serde_json::{Value, json};

use crate::answer::Fault;
use crate::schemas::SCHEMAS;
use crate::shape::{Field, Shape};

/// Checks that a value is of a shape.
///
/// # Errors
/// The first thing in it that is not: which rule it breaks, and where.
pub(crate) fn check(shape: Shape, value: &Value) -> Result<(), Fault> {
    fit(shape, value, &mut Vec::new())
}

/// `path`: the names and places that led to the value.
fn fit(shape: Shape, value: &Value, path: &mut Vec<Value>) -> Result<(), Fault> {
    let fits = match shape {
        Shape::Named(name) => return fit(named(name), value, path),
        Shape::Text(_) => value.is_string(),
        Shape::Word(words) => match value.as_str() {
            Some(word) if words.contains(&word) => true,
            Some(_) => return Err(Fault::unfit_body("not_in_enum", value, path)),
            None => false,
        },
        Shape::Integer(least, most) => return integer(least, most, value, path),
        Shape::Fraction => value.is_number(),
        Shape::Flag => value.is_boolean(),
        Shape::List(item) => match value.as_array() {
            Some(values) => return list(*item, values, path),
            None => false,
        },
        Shape::Object(fields) => match value.as_object() {
            Some(_) => return object(fields, value, path),
            None => false,
        },
        Shape::Either(shapes) => shapes.iter().any(|shape| fit(*shape, value, path).is_ok()),
    };
    if fits { Ok(()) } else { Err(Fault::unfit_body("wrong_type", value, path)) }
}

/// One that has no entry is described as anything at all.
fn named(name: &str) -> Shape {
    let entry = SCHEMAS.iter().find(|(known, _)| *known == name);
    entry.map_or(Shape::Either(&[]), |(_, shape)| *shape)
}

fn integer(least: Option<i128>, most: Option<i128>, value: &Value, path: &[Value]) -> Result<(), Fault> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Fault::unfit_body("wrong_type", value, path)),
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::unfit_body("wrong_type", value, path));
    }
    // Larger numbers are in range where there is no upper limit: what they are for says what is wrong with them.
    let fits = match text.parse::<i128>() {
        Ok(number) => least.is_none_or(|least| least <= number) && most.is_none_or(|most| number <= most),
        Err(_) => most.is_none() && !text.starts_with('-'),
    };
    if fits { Ok(()) } else { Err(Fault::unfit_body("not_in_range", value, path)) }
}

fn list(item: Shape, values: &[Value], path: &mut Vec<Value>) -> Result<(), Fault> {
    for (place, value) in values.iter().enumerate() {
        path.push(json!(place));
        fit(item, value, path)?;
        path.pop();
    }
    Ok(())
}

fn object(fields: &[Field], value: &Value, path: &mut Vec<Value>) -> Result<(), Fault> {
    for Field { name, shape, is_required } in fields {
        match value.get(name) {
            None if *is_required => {
                return Err(Fault::unfit_body("missing_required_property", &json!(name), path));
            }
            None => {}
            Some(value) => {
                path.push(json!(name));
                fit(*shape, value, path)?;
                path.pop();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::shape::{may, must};

    const SHAPE: Shape = Shape::Object(&[
        must("word", Shape::Word(&["a", "b"])),
        may("small", Shape::Integer(Some(0), Some(9))),
        may("large", Shape::Integer(Some(0), None)),
        may("list", Shape::List(&Shape::Object(&[must("flag", Shape::Flag)]))),
        may("either", Shape::Either(&[Shape::Flag, Shape::Text("")])),
        may("number", Shape::Fraction),
    ]);

    #[test]
    fn what_fits_is_taken() {
        let vast = "1".repeat(60);
        for value in [
            json!({ "word": "a" }),
            json!({ "word": "b", "small": 9, "large": "12", "other": [] }),
            json!({ "word": "b", "small": "0", "list": [], "either": true }),
            json!({ "word": "b", "large": vast, "list": [{ "flag": false }], "either": "", "number": 0.5 }),
        ] {
            assert!(check(SHAPE, &value).is_ok(), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        for (value, error, data, path) in [
            (json!([]), "wrong_type", json!([]), json!([])),
            (json!({}), "missing_required_property", json!("word"), json!([])),
            (json!({ "word": 1 }), "wrong_type", json!(1), json!(["word"])),
            (json!({ "word": "c" }), "not_in_enum", json!("c"), json!(["word"])),
            (json!({ "word": "a", "small": 10 }), "not_in_range", json!(10), json!(["small"])),
            (json!({ "word": "a", "small": "-1" }), "not_in_range", json!("-1"), json!(["small"])),
            (json!({ "word": "a", "large": -1 }), "not_in_range", json!(-1), json!(["large"])),
            (json!({ "word": "a", "large": 1.5 }), "wrong_type", json!(1.5), json!(["large"])),
            (json!({ "word": "a", "large": "" }), "wrong_type", json!(""), json!(["large"])),
            (json!({ "word": "a", "large": null }), "wrong_type", json!(null), json!(["large"])),
            (
                json!({ "word": "a", "list": [{ "flag": true }, { "flag": 0 }] }),
                "wrong_type",
                json!(0),
                json!(["list", 1, "flag"]),
            ),
            (
                json!({ "word": "a", "list": [{}] }),
                "missing_required_property",
                json!("flag"),
                json!(["list", 0]),
            ),
            (json!({ "word": "a", "list": {} }), "wrong_type", json!({}), json!(["list"])),
            (json!({ "word": "a", "either": 1 }), "wrong_type", json!(1), json!(["either"])),
            (json!({ "word": "a", "number": "1" }), "wrong_type", json!("1"), json!(["number"])),
        ] {
            let fault = check(SHAPE, &value).unwrap_err();
            let info = json!({ "error": error, "data": data, "path": path });
            let body = json!({ "reason": "validation_error", "parameter": "body", "info": info });
            assert_eq!((fault.status(), fault.body()), (StatusCode::BAD_REQUEST, &body), "{value}");
        }
    }
}
