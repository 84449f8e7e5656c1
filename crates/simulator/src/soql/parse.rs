//! Query text to tree, by the grammar beside this file.
//!
//! Here: the tree and how it is read. Not here: whether the names in it exist (`bind`).

use pest::Parser;
use pest::iterators::Pair;

use super::error::SoqlError;

#[derive(pest_derive::Parser)]
#[grammar = "soql/grammar.pest"]
struct Soql;

/// A dotted name and the byte it starts at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) parts: Vec<String>,
    pub(crate) at: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Query {
    /// Empty for `COUNT()`.
    pub(crate) items: Vec<Item>,
    pub(crate) object: Path,
    pub(crate) filter: Option<Expression>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: Option<usize>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Field(Path),
    Children(Query),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Test(Path, Operator, Vec<Literal>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Like,
    In,
    NotIn,
}

/// A literal; strings still have their escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Instant(String),
    Date(String),
    Number(f64),
    Bool(bool),
    Null,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) path: Path,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

pub(crate) fn parse(text: &str) -> Result<Query, SoqlError> {
    let mut pairs = Soql::parse(Rule::query, text).map_err(|error| unexpected(text, &error))?;
    let body = pairs.next().and_then(|query| query.into_inner().next());
    body.map(query).ok_or_else(|| SoqlError::malformed("unexpected token: '<EOF>'"))
}

fn unexpected(text: &str, error: &pest::error::Error<Rule>) -> SoqlError {
    let (pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _))) = error.location;
    let at = text[at..].find(|letter: char| !letter.is_whitespace()).map_or(text.len(), |blank| at + blank);
    let rest = &text[at..];
    let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let token = match (word, rest.chars().next()) {
        (_, None) => "<EOF>".to_owned(),
        (0, Some(letter)) => letter.to_string(),
        (word, _) => rest[..word].to_owned(),
    };
    SoqlError::at("MALFORMED_QUERY", text, at, &format!("unexpected token: '{token}'"))
}

fn query(body: Pair<'_, Rule>) -> Query {
    let mut query = Query {
        items: Vec::new(),
        object: Path { parts: Vec::new(), at: 0 },
        filter: None,
        order: Vec::new(),
        limit: None,
        offset: None,
    };
    for part in body.into_inner() {
        match part.as_rule() {
            Rule::items => query.items = part.into_inner().filter_map(item).collect(),
            Rule::name => query.object = path(&part),
            Rule::filter => query.filter = part.into_inner().last().map(expression),
            Rule::ordering => query.order = part.into_inner().filter_map(order).collect(),
            Rule::limit => query.limit = Some(digits(part)),
            Rule::offset => query.offset = Some(digits(part)),
            _ => {}
        }
    }
    query
}

fn item(pair: Pair<'_, Rule>) -> Option<Item> {
    match pair.as_rule() {
        Rule::path => Some(Item::Field(path(&pair))),
        Rule::children => pair.into_inner().next().map(|body| Item::Children(query(body))),
        _ => None,
    }
}

fn path(pair: &Pair<'_, Rule>) -> Path {
    Path { parts: pair.as_str().split('.').map(str::to_owned).collect(), at: pair.as_span().start() }
}

fn expression(pair: Pair<'_, Rule>) -> Expression {
    match pair.as_rule() {
        Rule::expression => {
            let mut any = false;
            let mut terms = Vec::new();
            for part in pair.into_inner() {
                match part.as_rule() {
                    Rule::or => any = true,
                    Rule::and => {}
                    _ => terms.push(expression(part)),
                }
            }
            if terms.len() == 1 {
                return terms.remove(0);
            }
            if any { Expression::Any(terms) } else { Expression::All(terms) }
        }
        Rule::negation => Expression::Not(Box::new(inner(pair))),
        Rule::group => inner(pair),
        _ => test(pair),
    }
}

/// The only expression inside a group or a negation.
fn inner(pair: Pair<'_, Rule>) -> Expression {
    pair.into_inner().last().map_or(Expression::All(Vec::new()), expression)
}

fn test(pair: Pair<'_, Rule>) -> Expression {
    let mut left = Path { parts: Vec::new(), at: 0 };
    let mut operator = Operator::Equal;
    let mut literals = Vec::new();
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::path => left = path(&part),
            Rule::like => {
                operator = Operator::Like;
                literals.extend(part.into_inner().last().map(literal));
            }
            Rule::among => {
                operator = Operator::In;
                for part in part.into_inner() {
                    match part.as_rule() {
                        Rule::not_in => operator = Operator::NotIn,
                        Rule::literal => literals.push(literal(part)),
                        _ => {}
                    }
                }
            }
            _ => {
                for part in part.into_inner() {
                    match part.as_rule() {
                        Rule::operator => operator = comparison(part.as_str()),
                        _ => literals.push(literal(part)),
                    }
                }
            }
        }
    }
    Expression::Test(left, operator, literals)
}

fn comparison(sign: &str) -> Operator {
    match sign {
        "!=" | "<>" => Operator::Unequal,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::More,
        ">=" => Operator::MoreOrEqual,
        _ => Operator::Equal,
    }
}

fn literal(pair: Pair<'_, Rule>) -> Literal {
    let pair =
        if pair.as_rule() == Rule::literal { pair.clone().into_inner().next().unwrap_or(pair) } else { pair };
    let text = pair.as_str();
    match pair.as_rule() {
        Rule::string => Literal::Text(text[1..text.len() - 1].to_owned()),
        Rule::datetime => Literal::Instant(text.to_uppercase()),
        Rule::date => Literal::Date(text.to_owned()),
        Rule::number => Literal::Number(text.parse().unwrap_or(f64::NAN)),
        Rule::yes => Literal::Bool(true),
        Rule::no => Literal::Bool(false),
        _ => Literal::Null,
    }
}

fn order(pair: Pair<'_, Rule>) -> Option<Order> {
    let mut order: Option<Order> = None;
    for part in pair.into_inner() {
        match (part.as_rule(), &mut order) {
            (Rule::path, _) => {
                order = Some(Order { path: path(&part), descending: false, nulls_last: false });
            }
            (Rule::descending, Some(order)) => order.descending = true,
            (Rule::nulls_last, Some(order)) => order.nulls_last = true,
            _ => {}
        }
    }
    order
}

fn digits(pair: Pair<'_, Rule>) -> usize {
    pair.into_inner().last().and_then(|digits| digits.as_str().parse().ok()).unwrap_or(usize::MAX)
}
