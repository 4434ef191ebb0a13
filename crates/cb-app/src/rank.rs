//! The order of search results: what is called exactly so first, then what begins so, then what has a word that begins
//! so, then what has it anywhere in its name, then the rest.

use cb_store::sea_orm::Condition;
use cb_store::sea_orm::sea_query::{BinOper, CaseStatement, ExprTrait as _, Func, SimpleExpr};

use cb_core::Result;

use crate::page::{anywhere, begins, words};

/// The name of this order among those of a list.
pub(crate) const MATCH: &str = "match";

/// What separates the words of a name: `nas-1.attic` has three.
const SEPARATORS: [&str; 8] = [" ", "-", ".", "_", "/", ":", "(", "@"];

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
        let name: SimpleExpr = Func::lower(name).into();
        let has = |pattern: String| like(name.clone(), &pattern);
        let each = |of: &dyn Fn(&str) -> Condition| {
            self.words.iter().fold(Condition::all(), |all, word| all.add(of(word)))
        };
        // Alternatives, of which most end early: to look at ten thousand names costs more than to find them.
        let begins_a_word = |word: &str| {
            SEPARATORS.iter().fold(Condition::any().add(has(begins(word))), |any, separator| {
                any.add(has(anywhere(&format!("{separator}{word}"))))
            })
        };
        let in_name = CaseStatement::new().case(each(&begins_a_word), "2").finally("3");
        let rank: SimpleExpr = CaseStatement::new()
            .case(exact, "0")
            .case(has(begins(&self.whole())), "1")
            .case(each(&|word| Condition::all().add(has(anywhere(word)))), in_name)
            .case(close, "2")
            .finally("4")
            .into();
        rank.binary(CONCAT, then)
    }
}

const CONCAT: BinOper = BinOper::Custom("||");

/// `text` is lower-case already.
pub(crate) fn like(text: SimpleExpr, pattern: &str) -> SimpleExpr {
    use cb_store::sea_orm::sea_query::LikeExpr;
    text.like(LikeExpr::new(pattern).escape('\\'))
}
