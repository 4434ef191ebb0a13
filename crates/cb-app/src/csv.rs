//! Lines of a CSV file (RFC 4180) that no spreadsheet runs.

use cb_core::Result;

/// A file that is made a part at a time, so that little of it is in memory.
pub trait Parts: Send + 'static {
    /// The next part; none behind the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<String>>> + Send;
}

/// Adds a line.
pub(crate) fn line(out: &mut String, cells: &[impl AsRef<str>]) {
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        cell(out, text.as_ref());
    }
    out.push_str("\r\n");
}

/// A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection"), and the log holds what
/// strangers on the network call themselves. With an apostrophe in front it is a text; spreadsheets do not show it.
const RUN_AS_FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What a reader may drop in front of a cell before it looks at it.
fn is_dropped(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '"' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Where a cell ends for a reader that was told, or guesses, another separator. It heeds a quote only where it sees a cell begin.
const ENDS_A_CELL: [char; 5] = [';', '\t', '|', '\n', '\r'];

/// Every cell is quoted, for those who take commas. Whatever another reader takes for a cell begins no formula either.
fn cell(out: &mut String, text: &str) {
    out.push('"');
    for part in text.split_inclusive(ENDS_A_CELL) {
        if part.trim_start_matches(is_dropped).starts_with(RUN_AS_FORMULA)
            || part.starts_with(['\t', '\r', '\n'])
        {
            out.push('\'');
        }
        out.push_str(&part.replace('"', "\"\""));
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::cell;

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(&mut out, text);
        out
    }

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (text, wanted) in [
            ("", r#""""#),
            ("ada", r#""ada""#),
            ("{\"a\":1}", r#""{""a"":1}""#),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", r#""'=1+1""#),
            ("+1", r#""'+1""#),
            ("-1", r#""'-1""#),
            ("@SUM(A1)", r#""'@SUM(A1)""#),
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("a; b;=1", r#""a; b;'=1""#),
            ("a;\"=1", r#""a;'""=1""#),
            ("  =1", r#""'  =1""#),
            ("\u{feff}=1", "\"'\u{feff}=1\""),
            ("\u{a0}\u{200b}＝1", "\"'\u{a0}\u{200b}＝1\""),
            ("=HYPERLINK(\"http://x\",\"y\")", r#""'=HYPERLINK(""http://x"",""y"")""#),
            ("a=1", r#""a=1""#),
        ] {
            assert_eq!(written(text), wanted, "{text:?}");
        }
    }

    /// A reader as RFC 4180 has it, with another separator: a quote counts where a cell begins.
    fn read(text: &str, separator: char) -> Vec<String> {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
                '"' if quoted || cell.is_empty() => quoted = !quoted,
                '\r' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
                c if c == separator && !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    }

    #[test]
    fn no_cell_begins_a_formula_whatever_the_separator() {
        for evil in [
            "nas;=1+1",
            "nas\t=1+1",
            "nas,=1+1",
            "nas|=1+1",
            "nas \"\";=1+1",
            "a\";=1+1;\"b",
            "=1;=2",
            "a\n=1",
            ";@x",
            "a;\"=1+1",
            "a; \u{200b}=1",
            "a\r\n＝1",
        ] {
            let line = format!("{},{},{}\r\n", written("1"), written(evil), written("x"));
            for separator in [',', ';', '\t', '|'] {
                for cell in read(&line, separator) {
                    let begins = cell.trim_start().starts_with(super::RUN_AS_FORMULA);
                    assert!(!begins, "{evil:?} read with {separator:?}: {cell:?}");
                }
            }
        }
    }
}
