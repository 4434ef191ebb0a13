//! Objects are read from objects. The readers that serde derives also take an array for a struct, by position: `["eve", "admin"]` would
//! be a user with a role. [`Objects`] stands between such a reader and the text, and refuses the array, however deep it is.
//!
//! Invariant: whatever somebody else has written (a body, a cursor, a message) is read through here. A type with `flatten`, `untagged`
//! or a tag keeps a copy of its own, which nothing stands in front of; a test of the API sends arrays to every input.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// `text` as a `T`.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(Objects::over(&mut reader))?;
    reader.end()?;
    Ok(value)
}

/// `value` as a `T`.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> serde_json::Result<T> {
    T::deserialize(Objects::over(value))
}

/// A reader, and with it everything that is read through it.
pub struct Objects<T> {
    inner: T,
    wanted: Wanted,
}

/// What the visitor inside wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Anything,
    /// The fields of a struct.
    Object,
    /// JSON does not tell 1.0 from 1 (JSON Schema 2020-12, 6.1.1: an integer is a number without a fraction), and serde does.
    Integer,
}

impl<T> Objects<T> {
    pub fn over(inner: T) -> Self {
        Self { inner, wanted: Wanted::Anything }
    }

    fn object(inner: T) -> Self {
        Self { inner, wanted: Wanted::Object }
    }

    fn integer(inner: T) -> Self {
        Self { inner, wanted: Wanted::Integer }
    }
}

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($name,)* Objects::over(visitor))
        }
    )*};
}

macro_rules! integers {
    ($($method:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(Objects::integer(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Objects::object(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    integers! {
        deserialize_i8, deserialize_i16, deserialize_i32, deserialize_i64, deserialize_u8, deserialize_u16, deserialize_u32,
        deserialize_u64
    }

    pass_on! {
        deserialize_any(), deserialize_bool(), deserialize_i128(), deserialize_u128(), deserialize_f32(), deserialize_f64(),
        deserialize_char(), deserialize_str(), deserialize_string(), deserialize_bytes(), deserialize_byte_buf(),
        deserialize_option(), deserialize_unit(), deserialize_seq(), deserialize_map(), deserialize_identifier(),
        deserialize_ignored_any(),
        deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str),
        deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    }
}

macro_rules! hand_over {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.wanted == Wanted::Object { f.write_str("an object") } else { self.inner.expecting(f) }
    }

    hand_over! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128, visit_u8: u8,
        visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_char: char,
        visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<V::Value, E> {
        // Up to here every whole number has a number of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.wanted == Wanted::Integer && value.fract() == 0.0 && value.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
            return self.inner.visit_i64(value as i64);
        }
        self.inner.visit_f64(value)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Objects::over(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Objects::over(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        if self.wanted == Wanted::Object {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.inner.visit_seq(Objects::over(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Objects::over(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Objects::over(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Objects::over(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Objects::over(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Objects::over(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Objects::over(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Objects::over(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Objects::over(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Objects::object(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use crate::Patch;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        x: i64,
        y: f64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(Inner);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Nothing,
        One(Inner),
        Named { inner: Inner },
        Pair(i64, Inner),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        one: Inner,
        #[serde(default)]
        maybe: Option<Inner>,
        #[serde(default)]
        patch: Patch<Inner>,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        by_name: BTreeMap<String, Inner>,
        #[serde(default)]
        wrapped: Option<Wrapped>,
        #[serde(default)]
        pair: Option<(i64, Inner)>,
        #[serde(default)]
        choices: Vec<Choice>,
        #[serde(default)]
        anything: Value,
    }

    fn full() -> Value {
        let inner = json!({ "x": 1, "y": 2.5 });
        json!({
            "name": "a", "one": inner, "maybe": inner, "patch": inner, "many": [inner], "by_name": { "k": inner },
            "wrapped": inner, "pair": [1, inner],
            "choices": ["nothing", { "one": inner }, { "named": { "inner": inner } }, { "pair": [1, inner] }],
            "anything": [[1], { "a": [2] }],
        })
    }

    /// Every place at which there is an object, with an array of its values in its place.
    fn with_arrays(value: &Value, structs: &dyn Fn(&Value) -> bool) -> Vec<Value> {
        match value {
            Value::Object(fields) => {
                let own =
                    structs(value).then(|| Value::Array(fields.values().cloned().collect())).into_iter();
                let within = fields.iter().flat_map(|(name, part)| {
                    with_arrays(part, structs).into_iter().map(move |changed| {
                        let mut whole = fields.clone();
                        whole.insert(name.clone(), changed);
                        Value::Object(whole)
                    })
                });
                own.chain(within).collect()
            }
            Value::Array(items) => {
                let each = items.iter().enumerate().flat_map(|(at, part)| {
                    with_arrays(part, structs).into_iter().map(move |changed| {
                        let mut whole = items.clone();
                        whole[at] = changed;
                        Value::Array(whole)
                    })
                });
                each.collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        let changed = with_arrays(&full(), &|v| v.get("x").is_some() || v.get("inner").is_some());
        assert_eq!(changed.len(), 11, "each place once");
        for value in changed {
            let text = value.to_string();
            serde_json::from_str::<Outer>(&text).expect("serde alone takes it");
            let error = super::from_slice::<Outer>(text.as_bytes()).expect_err(&text);
            assert!(error.to_string().contains("expected an object"), "{error}: {text}");
            let error = super::from_value::<Outer>(value).expect_err(&text);
            // `serde_json::Value` itself refuses a list for a variant with named fields, in its own words.
            let expected =
                if text.contains(r#""named":["#) { "expected struct variant" } else { "expected an object" };
            assert!(error.to_string().contains(expected), "{error}: {text}");
        }
        assert!(super::from_slice::<Inner>(b"[1, 2.5]").is_err());
        assert!(super::from_slice::<Vec<Inner>>(b"[[1, 2.5]]").is_err());
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        let text = full().to_string();
        let plain: Outer = serde_json::from_str(&text).expect("reads");
        assert_eq!(super::from_slice::<Outer>(text.as_bytes()).expect("reads"), plain);
        assert_eq!(super::from_value::<Outer>(full()).expect("reads"), plain);
        assert!(super::from_slice::<Inner>(br#"{"x":1,"y":2} x"#).is_err(), "nothing comes after it");
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for (text, x) in [
            ("1.0", 1),
            ("-2e1", -20),
            ("0.0", 0),
            ("-0.0", 0),
            ("7", 7),
            ("9007199254740992.0", 9_007_199_254_740_992),
        ] {
            let read = super::from_slice::<Inner>(format!(r#"{{"x":{text},"y":1}}"#).as_bytes());
            assert_eq!(read.expect(text).x, x, "{text}");
        }
        for text in ["1.5", "1e300", "9007199254740994.0", "\"1\"", "null"] {
            assert!(
                super::from_slice::<Inner>(format!(r#"{{"x":{text},"y":1}}"#).as_bytes()).is_err(),
                "{text}"
            );
        }
        assert!(
            super::from_slice::<Vec<u8>>(b"[-1.0]").is_err()
                && super::from_slice::<Vec<u8>>(b"[256.0]").is_err()
        );
    }
}
