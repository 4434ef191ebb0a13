//! A form: the fields that a kind of something has, the public ones and the secret ones. One table of fields judges what comes
//! in and describes itself as JSON schema to whoever builds the page.
//!
//! Invariant: what is wrong is told by the names of the fields, never by what was given; somebody may have put a secret there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Secret;
use crate::error::Violations;

/// Fields that anybody may see who sees the thing.
pub type Public = BTreeMap<String, String>;
/// Fields that nobody sees again.
pub type Secrets = BTreeMap<String, Secret>;

/// How a field is typed.
#[derive(Debug, Clone, Copy)]
enum Typed {
    Line,
    /// With line breaks.
    Lines,
    /// One of these; the first when none is given.
    Choice(&'static [&'static str]),
}

#[derive(Debug, Clone)]
pub struct Field {
    name: &'static str,
    title: &'static str,
    help: &'static str,
    typed: Typed,
    required: bool,
    most: usize,
    /// Where the secret goes, or how, depends on it: whoever changes it must know the secret.
    binds: bool,
}

impl Field {
    pub const fn line(name: &'static str, title: &'static str) -> Self {
        Self { name, title, help: "", typed: Typed::Line, required: true, most: 256, binds: false }
    }

    pub const fn choice(name: &'static str, title: &'static str, of: &'static [&'static str]) -> Self {
        let mut field = Self::line(name, title);
        field.typed = Typed::Choice(of);
        field.required = false;
        field.binds = true;
        field
    }

    #[must_use]
    pub const fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    #[must_use]
    pub const fn lines(mut self) -> Self {
        self.typed = Typed::Lines;
        self
    }

    #[must_use]
    pub const fn binding(mut self) -> Self {
        self.binds = true;
        self
    }

    #[must_use]
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// What is wrong with a text, if anything.
    fn judge(&self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("This field must not be empty.".to_owned());
        }
        if text.len() > self.most {
            return Err(format!("Use at most {} characters.", self.most));
        }
        match self.typed {
            Typed::Line if text.chars().any(char::is_control) => {
                Err("Enter one line without control characters.".to_owned())
            }
            Typed::Lines if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => {
                Err("Remove the control characters.".to_owned())
            }
            Typed::Choice(of) if !of.contains(&text) => {
                Err(format!("Choose one of these: {}.", of.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn schema(&self, secret: bool) -> Value {
        let mut schema = json!({ "type": "string", "title": self.title, "maxLength": self.most });
        match self.typed {
            Typed::Line => {}
            Typed::Lines => schema["x-lines"] = json!(true),
            Typed::Choice(of) => {
                schema["enum"] = json!(of);
                schema["default"] = json!(of.first());
            }
        }
        if self.required {
            schema["minLength"] = json!(1);
        }
        if !self.help.is_empty() {
            schema["description"] = json!(self.help);
        }
        if secret {
            schema["writeOnly"] = json!(true);
        }
        if self.binds {
            schema["x-binds-secret"] = json!(true);
        }
        schema
    }
}

#[derive(Debug, Clone)]
pub struct Form {
    public: Vec<Field>,
    secret: Vec<Field>,
}

impl Form {
    pub fn new(public: Vec<Field>, secret: Vec<Field>) -> Self {
        Self { public, secret }
    }

    /// Public fields as given, with the first choice where none was made; what is wrong is noted under `public.…`. `of` is the
    /// kind, to name it.
    pub fn read(&self, of: &str, wrong: &mut Violations, given: &Public) -> Public {
        let mut out = Public::new();
        for field in &self.public {
            let text = given.get(field.name).map(|text| text.trim()).filter(|text| !text.is_empty());
            let text = match (text, field.typed) {
                (Some(text), _) => text,
                (None, Typed::Choice([first, ..])) => first,
                (None, _) => {
                    if field.required {
                        wrong.add(format!("public.{}", field.name), "This field is required.");
                    }
                    continue;
                }
            };
            match field.judge(text) {
                Ok(()) => drop(out.insert(field.name.to_owned(), text.to_owned())),
                Err(reason) => wrong.add(format!("public.{}", field.name), reason),
            }
        }
        no_others(of, wrong, "public", given.keys(), &self.public);
        out
    }

    /// Judges the secret fields; what is wrong is noted under `secret.…`.
    pub fn judge_secret(&self, of: &str, wrong: &mut Violations, given: &Secrets) {
        for field in &self.secret {
            let name = format!("secret.{}", field.name);
            match given.get(field.name).map(Secret::expose) {
                Some(text) => {
                    if let Err(reason) = field.judge(text) {
                        wrong.add(name, reason);
                    }
                }
                None if field.required => wrong.add(name, "This field is required."),
                None => {}
            }
        }
        no_others(of, wrong, "secret", given.keys(), &self.secret);
    }

    /// The first field that says where or how the secret travels and is not as it was.
    pub fn rebound(&self, before: &Public, after: &Public) -> Option<&'static str> {
        let mut names = self.public.iter().filter(|field| field.binds).map(|field| field.name);
        names.find(|name| before.get(*name) != after.get(*name))
    }

    /// A JSON schema. `x-order` is the order of the fields. `x-lines` marks a text with several lines. A change of a
    /// field with `x-binds-secret` must include the secret again.
    pub fn public_schema(&self) -> Value {
        schema(&self.public, false)
    }

    pub fn secret_schema(&self) -> Value {
        schema(&self.secret, true)
    }
}

fn no_others<'a>(
    of: &str,
    wrong: &mut Violations,
    part: &str,
    given: impl Iterator<Item = &'a String>,
    known: &[Field],
) {
    // Not the name itself: somebody may have put a secret in its place.
    if given.into_iter().any(|name| !known.iter().any(|field| field.name == name)) {
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        wrong.add(part, format!("Remove the fields that {of} does not have. Its fields: {names}."));
    }
}

fn schema(fields: &[Field], secret: bool) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.schema(secret))).collect();
    let order: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|field| field.name).collect();
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        "x-order": order,
    })
}

#[cfg(test)]
mod tests {
    use super::{Field, Form, Public, Secrets};
    use crate::Secret;
    use crate::error::{Error, Violations};

    fn form() -> Form {
        Form::new(
            vec![
                Field::line("server", "Server").most(20).binding(),
                Field::choice("transport", "Sent over", &["https", "http"]),
                Field::line("note", "Note").optional(),
            ],
            vec![Field::line("token", "Token"), Field::line("key", "Key").lines().optional()],
        )
    }

    fn public(fields: &[(&str, &str)]) -> Public {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn told(wrong: Violations) -> Vec<String> {
        match wrong.into_result() {
            Err(Error::Invalid(fields)) => {
                fields.iter().map(|f| format!("{}: {}", f.field, f.reason)).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_is_given_is_trimmed_and_what_is_not_chosen_is_the_first() {
        let mut wrong = Violations::new();
        let read = form().read("a thing", &mut wrong, &public(&[("server", " nas.lan "), ("note", " ")]));
        assert_eq!(told(wrong), Vec::<String>::new());
        assert_eq!(read, public(&[("server", "nas.lan"), ("transport", "https")]));
    }

    #[test]
    fn what_is_wrong_is_told_by_the_field_and_without_what_was_given() {
        let mut wrong = Violations::new();
        form().read("a thing", &mut wrong, &public(&[("transport", "hunter2"), ("hunter2", "x")]));
        let secrets = [("token", "a\nb"), ("hunter2", "x"), ("key", "a\nb")];
        let secrets: Secrets =
            secrets.iter().map(|(n, t)| ((*n).to_owned(), Secret::new((*t).to_owned()))).collect();
        form().judge_secret("a thing", &mut wrong, &secrets);
        let told = told(wrong);
        assert_eq!(
            told,
            [
                "public.server: This field is required.",
                "public.transport: Choose one of these: https, http.",
                "public: Remove the fields that a thing does not have. Its fields: server, transport, note.",
                "secret.token: Enter one line without control characters.",
                "secret: Remove the fields that a thing does not have. Its fields: token, key.",
            ]
        );
    }

    #[test]
    fn a_field_that_binds_the_secret_is_told_when_it_changes() {
        let before = public(&[("server", "a"), ("transport", "https"), ("note", "1")]);
        let change = |name: &str, text: &str| {
            let mut after = before.clone();
            after.insert(name.to_owned(), text.to_owned());
            form().rebound(&before, &after)
        };
        assert_eq!(change("note", "2"), None);
        assert_eq!(change("server", "b"), Some("server"));
        assert_eq!(change("transport", "http"), Some("transport"));
        assert_eq!(form().rebound(&before, &Public::new()), Some("server"));
    }
}
