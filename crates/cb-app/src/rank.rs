//! The order of search results: what is called exactly so first, then what begins so, then what has a word that begins
//! so, then what has it anywhere in its name, then the rest.

use cb_store::sea_orm::Condition;
use cb_store::sea_orm::sea_query::{BinOper, CaseStatement, Expr, ExprTrait as _, Func, SimpleExpr};

use cb_core::Result;

use crate::page::{anywhere, begins, escaped, words};

/// The name of this order among those of a list.
pub(crate) const MATCH: &str = "match";

/// What separates the words of a name: `nas-1.attic` has three.
const SEPARATORS: [&str; 7] = ["-", "_", ".", "/", ":", "(", "@"];

/// What is searched for.
pub(crate) struct Wanted {
    /// Lower-case.
    words: Vec<String>,
}

impl Wanted {
    pub fn new(q: Option<&str>) -> Result<Self> {
        Ok(Self { words: words(q)? })
    }

    /// All words as they would be in a name.
    pub fn whole(&self) -> String {
        self.words.join(" ")
    }

    /// The order of a list for which nobody has asked for another: without a word nothing is near to anything.
    pub fn order_or(&self, default: &'static str) -> &'static str {
        if self.words.is_empty() { default } else { MATCH }
    }

    /// A text that sorts: the rank, and `then` among equals. It is a text so that a cursor can carry it. `exact` and `close`
    /// are what counts beside the name, such as an address.
    pub fn place(
        &self,
        name: SimpleExpr,
        exact: Condition,
        close: Condition,
        then: SimpleExpr,
    ) -> SimpleExpr {
        let each = |pattern: &dyn Fn(&str) -> String, of: &SimpleExpr| {
            self.words.iter().fold(Condition::all(), |all, word| all.add(like(of.clone(), &pattern(word))))
        };
        let lower: SimpleExpr = Func::lower(name).into();
        let spaced = SEPARATORS.iter().fold(lower.clone(), |text, separator| spaces(text, separator));
        let spaced = Expr::val(" ").binary(CONCAT, spaced);
        let word_begins = |word: &str| {
            let word = word.replace(|c: char| SEPARATORS.iter().any(|one| one.chars().eq([c])), " ");
            format!("% {}%", escaped(word.trim_start()))
        };
        let rank: SimpleExpr = CaseStatement::new()
            .case(exact, "0")
            .case(like(lower.clone(), &begins(&self.whole())), "1")
            .case(Condition::any().add(each(&word_begins, &spaced)).add(close), "2")
            .case(each(&|word| anywhere(word), &lower), "3")
            .finally("4")
            .into();
        rank.binary(CONCAT, then)
    }
}

const CONCAT: BinOper = BinOper::Custom("||");

fn spaces(text: SimpleExpr, separator: &'static str) -> SimpleExpr {
    Func::cust("replace").args([text, separator.into(), " ".into()]).into()
}

/// `text` is lower-case already.
pub(crate) fn like(text: SimpleExpr, pattern: &str) -> SimpleExpr {
    use cb_store::sea_orm::sea_query::LikeExpr;
    text.like(LikeExpr::new(pattern).escape('\\'))
}
