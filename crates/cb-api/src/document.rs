//! What the derived description does not say by itself: what inputs must be, how a caller proves who they are, and that every operation
//! may answer with a problem.

use cb_app::described::{self, Bound, LINE, LINES, NO_NUL, OPTIONAL_LINE};
use cb_app::replay::KEY_MOST;
use http::Method;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayItems, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema, SecurityRequirement,
};

use crate::auth;

/// Completes the description of the routes.
pub fn complete(mut document: OpenApi) -> OpenApi {
    let problem = problem();
    let methods = [
        (HttpMethod::Get, Method::GET),
        (HttpMethod::Put, Method::PUT),
        (HttpMethod::Post, Method::POST),
        (HttpMethod::Patch, Method::PATCH),
        (HttpMethod::Delete, Method::DELETE),
    ];
    for (path, item) in &mut document.paths.paths {
        for (name, method) in &methods {
            let operation = match name {
                HttpMethod::Get => &mut item.get,
                HttpMethod::Put => &mut item.put,
                HttpMethod::Post => &mut item.post,
                HttpMethod::Patch => &mut item.patch,
                _ => &mut item.delete,
            };
            let Some(operation) = operation else { continue };
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem.clone()));
            if !auth::is_public(method, path) {
                operation.security = Some(proofs());
                if *method == Method::POST {
                    operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
                }
            }
            describe_parameters(operation);
        }
    }
    let components = document.components.get_or_insert_with(Components::default);
    describe_bodies(components);
    for (name, scheme) in schemes() {
        components.security_schemes.insert(name.to_owned(), RefOr::T(scheme));
    }
    document
}

fn problem() -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description("What went wrong")
        .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

/// Either is enough.
fn proofs() -> Vec<SecurityRequirement> {
    ["token", "session"].map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, [])).to_vec()
}

fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A user's API token (cb_pat_…), or the operator's (CB_API_TOKEN)."));
    let session = ApiKeyValue::with_description(
        auth::COOKIE,
        "The cookie that sign-in sets. A write also needs the header X-CSRF-Token with the `csrf_token` from the answer to the sign-in or from auth/me, and the header Content-Type: application/json, with or without a body.",
    );
    [
        ("token", SecurityScheme::Http(token.build())),
        ("session", SecurityScheme::ApiKey(ApiKey::Cookie(session))),
    ]
}

fn idempotency_key() -> Parameter {
    let mut key = ObjectBuilder::new().schema_type(Type::String).build();
    pattern(&mut key, "^[!-~]*$", 1, Some(KEY_MOST));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Any new text, such as a UUID. If the same request is sent again within a day with the same key, the server does not carry it out again. It returns the earlier response with the header Idempotency-Replayed. The answer is 409 if the response contained a secret, which is shown only once, if the first request is still running, or if its outcome is unknown. The answer is 422 if another request uses the key.",
        ))
        .schema(Some(key))
        .build()
}

fn describe_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Parameter { name, parameter_in, schema: Some(RefOr::T(schema)), .. } = parameter else {
            continue;
        };
        let is_list = matches!(parameter_in, ParameterIn::Query);
        match described::LISTS.iter().find(|(list, _)| is_list && list == name) {
            Some((_, bound)) => describe(schema, *bound),
            None => without_nul(schema),
        }
    }
}

fn describe_bodies(components: &mut Components) {
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::Object(input)) = schema else { continue };
        // What only goes out needs no bound.
        let is_input = ["In", "Patch", "Confirm", "RoleGroup", "ViewColumn", "ViewNarrowing"]
            .iter()
            .any(|end| name.ends_with(end));
        if !is_input {
            continue;
        }
        for (field, property) in &mut input.properties {
            let RefOr::T(schema) = property else { continue };
            match described::FIELDS.iter().find(|(of, known, _)| of == name && known == field) {
                Some((_, _, bound)) => describe(schema, *bound),
                None => without_nul(schema),
            }
        }
    }
}

fn describe(schema: &mut Schema, bound: Bound) {
    match (schema, bound) {
        (Schema::Object(text), Bound::Line(most)) => pattern(text, LINE, 1, Some(most)),
        (Schema::Object(text), Bound::OptionalLine(most)) => pattern(text, OPTIONAL_LINE, 0, Some(most)),
        (Schema::Object(text), Bound::Lines(most)) => pattern(text, LINES, 0, Some(most)),
        (Schema::Object(text), Bound::Text(least, most)) => pattern(text, NO_NUL, least, Some(most)),
        (Schema::Object(text), Bound::Pattern(wanted)) => pattern(text, wanted, 0, None),
        (Schema::Object(number), Bound::Number(least, most)) => {
            number.minimum = isize::try_from(least).ok().map(Into::into);
            number.maximum = isize::try_from(most).ok().map(Into::into);
        }
        (Schema::Array(list), Bound::Items(least, most)) => {
            list.min_items = Some(least).filter(|least| *least > 0);
            list.max_items = Some(most);
            items_without_nul(&mut list.items);
        }
        (Schema::Array(list), Bound::Words(least, most, words)) => {
            list.min_items = Some(least).filter(|least| *least > 0);
            list.max_items = Some(most);
            list.items = one_of(&words());
        }
        (Schema::Array(list), Bound::Choice(words)) => list.items = one_of(&words()),
        // The test of the bounds finds it.
        _ => {}
    }
}

fn one_of(words: &[&str]) -> ArrayItems {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()));
    ArrayItems::RefOrSchema(Box::new(RefOr::T(Schema::Object(word.build()))))
}

fn pattern(text: &mut Object, pattern: &str, least: usize, most: Option<usize>) {
    text.pattern = Some(pattern.to_owned());
    text.min_length = Some(least).filter(|least| *least > 0);
    text.max_length = most;
}

/// No text that comes in contains the character U+0000.
fn without_nul(schema: &mut Schema) {
    match schema {
        Schema::Object(text) => {
            let is_text = match &text.schema_type {
                SchemaType::Type(one) => *one == Type::String,
                SchemaType::Array(any) => any.contains(&Type::String),
                SchemaType::AnyValue => false,
            };
            if is_text && text.pattern.is_none() && text.format.is_none() && text.enum_values.is_none() {
                text.pattern = Some(NO_NUL.to_owned());
            }
        }
        Schema::Array(list) => items_without_nul(&mut list.items),
        _ => {}
    }
}

fn items_without_nul(items: &mut ArrayItems) {
    if let ArrayItems::RefOrSchema(items) = items
        && let RefOr::T(schema) = &mut **items
    {
        without_nul(schema);
    }
}
