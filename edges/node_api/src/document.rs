//! The OpenAPI document at `/api`, made of the table of routes.

use serde_json::{Map, Value, json};

use crate::param::{self, Param};
use crate::schemas::SCHEMAS;
use crate::shape::Shape;
use crate::table::{ROUTES, Route, Under, Work};

/// The document of the newer interface, under `/v3`. The older one, under `/v2`, has the same paths and answers.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.under != Under::V2) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[method(route)] = operation(route);
    }
    let schemas: Map<_, _> =
        SCHEMAS.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_json())).collect();
    json!({
        "openapi": "3.0.0",
        "info": {
            "title": "The dev chain of Strait, as an aeternity node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What an aeternity node offers under the same paths, as far as state channels need it. \
                            Every answer carries the header x-ae-height: the height of the chain, or a lower one.",
        },
        "servers": [{ "url": "/v3" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn method(route: &Route) -> &'static str {
    match route.work {
        Work::Read(_) => "get",
        Work::Run(_) | Work::Submit => "post",
    }
}

fn operation(route: &Route) -> Value {
    let params = [param::INT_AS_STRING].into_iter().chain(route.params.iter().copied());
    let mut operation = json!({
        "operationId": route.operation,
        "tags": [if route.group == "debug" { "internal" } else { "external" }, route.group],
        "parameters": params.map(Param::to_json).collect::<Value>(),
        "responses": responses(route),
    });
    if let Some(body) = route.body {
        operation["requestBody"] = json!({ "required": true, "content": json_of(body) });
    }
    operation
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    if let Some(answer) = route.answer {
        let entry = json!({ "description": "Successful operation", "content": json_of(answer) });
        responses.insert("200".to_owned(), entry);
    }
    let mut fault = |status: u16, says: &str| {
        let entry = json!({ "description": says, "content": json_of(Shape::Named("Error")) });
        responses.entry(status.to_string()).or_insert(entry);
    };
    for (status, says) in route.faults {
        fault(*status, says);
    }
    fault(400, "A parameter that does not fit");
    if let Work::Submit = route.work {
        fault(503, "The chain takes no transaction at the moment");
    }
    if route.body.is_some() {
        fault(408, "The body came too slowly");
        // It has no body of its own.
        responses.insert("415".to_owned(), json!({ "description": "The body is not said to be JSON" }));
    }
    responses.into()
}

fn json_of(shape: Shape) -> Value {
    json!({ "application/json": { "schema": shape.to_json() } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::param::Place;

    #[test]
    fn a_path_has_the_parameters_of_its_template_in_order() {
        for route in ROUTES {
            let in_template: Vec<_> =
                route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            let in_path = route.params.iter().filter(|param| param.place == Place::Path);
            assert_eq!(in_path.map(|param| param.name).collect::<Vec<_>>(), in_template, "{}", route.path);
        }
    }

    #[test]
    fn every_schema_that_is_named_is_there_once_and_every_one_is_named() {
        let text = document().to_string();
        let named: BTreeSet<_> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let there: Vec<_> = SCHEMAS.iter().map(|(name, _)| *name).collect();
        assert_eq!(there.iter().copied().collect::<BTreeSet<_>>().len(), there.len());
        assert_eq!(named, there.into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn an_operation_has_one_name_and_a_name_one_operation() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        assert_eq!(names.len(), ROUTES.len());
        let operations = document()["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum::<usize>();
        assert_eq!(operations, ROUTES.iter().filter(|route| route.under != Under::V2).count());
    }
}
