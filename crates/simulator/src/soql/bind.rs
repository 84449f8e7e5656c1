//! A parsed query against the schema: which fields are meant, which values they are compared with.
//!
//! Here: every check that needs the schema. Not here: records (`run`).

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::error::SoqlError;
use super::like::{self, Part};
use super::parse::{Expression, Item, Literal, Operator, Path, Query};
use crate::data::{Field, FieldKind, Object, Schema, canonical_id, instant_text, parse_date, parse_instant};

/// Source: SOQL Reference "OFFSET".
const OFFSET_MAX: usize = 2_000;
/// Source: SOQL Reference "Understanding Relationship Query Limitations".
const STEPS_MAX: usize = 5;

/// A field, reached over lookups from the record queried.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedField {
    /// (name of the relationship, lookup field) from outside in.
    pub(crate) steps: Vec<(String, Field)>,
    pub(crate) field: Field,
}

impl ResolvedField {
    /// The name of its column in a CSV.
    pub(crate) fn column(&self) -> String {
        let steps = self.steps.iter().map(|(name, _)| name.as_str());
        steps.chain([self.field.name.as_str()]).collect::<Vec<_>>().join(".")
    }
}

/// A query that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) object: Arc<Object>,
    pub(crate) count_only: bool,
    pub(crate) fields: Vec<ResolvedField>,
    pub(crate) children: Vec<Children>,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<Sorting>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    /// Records in the recycle bin are among those looked at.
    pub(crate) with_deleted: bool,
}

/// A child subquery: its name, the child's lookup field, and its own plan.
#[derive(Clone, Debug)]
pub(crate) struct Children {
    pub(crate) name: String,
    pub(crate) by: Field,
    pub(crate) plan: Plan,
}

#[derive(Clone, Debug)]
pub(crate) struct Sorting {
    pub(crate) resolved: ResolvedField,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Compare(ResolvedField, Operator, Value),
    Like(ResolvedField, Vec<Part>),
    /// Equal to one of these (by `set_text`), the flag turns it round.
    Among {
        resolved: ResolvedField,
        values: HashSet<String>,
        null: bool,
        negated: bool,
    },
}

pub(crate) fn bind(schema: &Schema, text: &str, query: &Query) -> Result<Plan, SoqlError> {
    let name = &query.object.parts[0];
    let Some(object) = schema.shared(name) else {
        let message = format!(
            "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
        );
        return Err(SoqlError::at("INVALID_TYPE", text, query.object.at, &message));
    };
    if object.is_event() {
        let message = format!("entity type {} does not support query", object.name);
        return Err(SoqlError { code: "INVALID_TYPE_FOR_OPERATION", message });
    }
    Binder { schema, text }.query(&object, query)
}

struct Binder<'a> {
    schema: &'a Schema,
    text: &'a str,
}

impl Binder<'_> {
    fn query(&self, object: &Arc<Object>, query: &Query) -> Result<Plan, SoqlError> {
        let mut plan = Plan {
            object: Arc::clone(object),
            count_only: query.items.is_empty(),
            fields: Vec::new(),
            children: Vec::new(),
            filter: query.filter.as_ref().map(|filter| self.filter(object, filter)).transpose()?,
            order: Vec::new(),
            limit: query.limit,
            offset: query.offset.unwrap_or(0),
            with_deleted: false,
        };
        for item in &query.items {
            match item {
                Item::Field(path) => plan.fields.push(self.selected(object, path, &plan.fields)?),
                Item::Children(children) => plan.children.push(self.children(object, children)?),
            }
        }
        for order in &query.order {
            let resolved = self.filtered(object, &order.path, "sorted")?;
            plan.order.push(Sorting { resolved, descending: order.descending, nulls_last: order.nulls_last });
        }
        if plan.offset > OFFSET_MAX {
            let message = "Maximum SOQL offset allowed is 2000".to_owned();
            return Err(SoqlError { code: "NUMBER_OUTSIDE_VALID_RANGE", message });
        }
        Ok(plan)
    }

    fn selected(
        &self,
        object: &Object,
        path: &Path,
        before: &[ResolvedField],
    ) -> Result<ResolvedField, SoqlError> {
        let resolved = self.resolve(object, path)?;
        if before.iter().any(|other| other.column() == resolved.column()) {
            return Err(SoqlError::malformed(&format!("duplicate field selected: {}", resolved.column())));
        }
        Ok(resolved)
    }

    fn children(&self, parent: &Object, query: &Query) -> Result<Children, SoqlError> {
        let name = &query.object.parts[0];
        let found = self.schema.children(&parent.name, name);
        let Some((object, by)) = found.and_then(|(object, by)| Some((self.schema.shared(&object.name)?, by)))
        else {
            let message = format!(
                "Didn't understand relationship '{name}' in FROM part of query call. If you are attempting to use a \
                 custom relationship, be sure to append the '__r' after the custom relationship name. Please \
                 reference your WSDL or the describe call for the appropriate names."
            );
            return Err(SoqlError::at("INVALID_TYPE", self.text, query.object.at, &message));
        };
        if query.items.is_empty() || query.items.iter().any(|item| matches!(item, Item::Children(_))) {
            return Err(SoqlError::malformed("a child query selects fields of the child and nothing else"));
        }
        Ok(Children { name: name.clone(), by: by.clone(), plan: self.query(&object, query)? })
    }

    fn resolve(&self, object: &Object, path: &Path) -> Result<ResolvedField, SoqlError> {
        let (last, over) =
            path.parts.split_last().ok_or_else(|| SoqlError::malformed("unexpected token: '<EOF>'"))?;
        // `Account.Name` in a query from Account is the object's own field.
        let over = match over {
            [first, rest @ ..]
                if object.relationship(first).is_none() && first.eq_ignore_ascii_case(&object.name) =>
            {
                rest
            }
            over => over,
        };
        if over.len() > STEPS_MAX {
            let message = "SOQL relationship paths can be at most 5 levels deep";
            return Err(SoqlError::at("MALFORMED_QUERY", self.text, path.at, message));
        }
        let mut here = object;
        let mut steps = Vec::new();
        for name in over {
            let next = here.relationship(name).and_then(|(field, to)| Some((field, self.schema.object(to)?)));
            let Some((field, to)) = next else {
                let message = format!(
                    "Didn't understand relationship '{name}' in field path. If you are attempting to use a custom \
                     relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                     your WSDL or the describe call for the appropriate names."
                );
                return Err(SoqlError::at("INVALID_FIELD", self.text, path.at, &message));
            };
            let name = field.reference().map_or_else(|| name.clone(), |reference| reference.relationship);
            steps.push((name, field.clone()));
            here = to;
        }
        let Some(field) = here.field(last) else {
            let message = format!(
                "No such column '{last}' on entity '{}'. If you are attempting to use a custom field, be sure to append \
                 the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
                 appropriate names.",
                here.name
            );
            return Err(SoqlError::at("INVALID_FIELD", self.text, path.at, &message));
        };
        Ok(ResolvedField { steps, field: field.clone() })
    }

    fn filtered(&self, object: &Object, path: &Path, how: &str) -> Result<ResolvedField, SoqlError> {
        let resolved = self.resolve(object, path)?;
        if resolved.field.filterable() {
            return Ok(resolved);
        }
        let message = format!("field '{}' can not be {how} in a query call", resolved.field.name);
        Err(SoqlError::at("INVALID_FIELD", self.text, path.at, &message))
    }

    fn filter(&self, object: &Object, expression: &Expression) -> Result<Filter, SoqlError> {
        let all = |terms: &[Expression]| -> Result<Vec<Filter>, SoqlError> {
            terms.iter().map(|term| self.filter(object, term)).collect()
        };
        match expression {
            Expression::All(terms) => Ok(Filter::All(all(terms)?)),
            Expression::Any(terms) => Ok(Filter::Any(all(terms)?)),
            Expression::Not(term) => Ok(Filter::Not(Box::new(self.filter(object, term)?))),
            Expression::Test(path, operator, literals) => self.test(object, path, *operator, literals),
        }
    }

    fn test(
        &self,
        object: &Object,
        path: &Path,
        operator: Operator,
        literals: &[Literal],
    ) -> Result<Filter, SoqlError> {
        let resolved = self.filtered(object, path, "filtered")?;
        match (operator, literals) {
            (Operator::Like, [Literal::Text(raw)]) => {
                if !is_text(&resolved.field.kind) {
                    return Err(self.bad_operator(&resolved, path));
                }
                Ok(Filter::Like(
                    resolved,
                    like::pattern(raw).map_err(|escape| self.bad_escape(path, &escape))?,
                ))
            }
            (Operator::In | Operator::NotIn, _) => {
                let mut values = HashSet::new();
                let mut null = false;
                for literal in literals {
                    match self.value(&resolved.field, path, literal)? {
                        Value::Null => null = true,
                        value => _ = values.insert(set_text(&resolved.field, &value)),
                    }
                }
                Ok(Filter::Among { resolved, values, null, negated: operator == Operator::NotIn })
            }
            (_, [literal]) => {
                let value = self.value(&resolved.field, path, literal)?;
                let ordered = !matches!(operator, Operator::Equal | Operator::Unequal);
                if ordered && resolved.field.kind == FieldKind::Checkbox {
                    return Err(self.bad_operator(&resolved, path));
                }
                Ok(Filter::Compare(resolved, operator, value))
            }
            _ => Err(SoqlError::malformed("unexpected token")),
        }
    }

    /// A literal as the field's values are stored, so that the two can be compared.
    fn value(&self, field: &Field, path: &Path, literal: &Literal) -> Result<Value, SoqlError> {
        let wrong = |kind: &str, quoted: bool| {
            let not = if quoted { "" } else { "not " };
            let message = format!(
                "value of filter criterion for field '{}' must be of type {kind} and should {not}be enclosed in quotes",
                field.name
            );
            Err(SoqlError::at("INVALID_FIELD", self.text, path.at, &message))
        };
        match (&field.kind, literal) {
            (_, Literal::Null) => Ok(Value::Null),
            (FieldKind::Id | FieldKind::Lookup { .. }, Literal::Text(raw)) => match canonical_id(raw) {
                Some(id) => Ok(Value::from(id)),
                None if raw.is_empty() => Ok(Value::Null),
                None => {
                    let message = format!("invalid ID field: {raw}");
                    Err(SoqlError::at("INVALID_QUERY_FILTER_OPERATOR", self.text, path.at, &message))
                }
            },
            (kind, Literal::Text(raw)) if is_text(kind) => {
                let text = like::unescape(raw).map_err(|escape| self.bad_escape(path, &escape))?;
                Ok(if text.is_empty() { Value::Null } else { Value::from(text) })
            }
            (kind, _) if is_text(kind) => wrong("string", true),
            (FieldKind::Id | FieldKind::Lookup { .. }, _) => wrong("ID", true),
            (FieldKind::Checkbox, Literal::Bool(set)) => Ok(Value::Bool(*set)),
            (FieldKind::Checkbox, _) => wrong("boolean", false),
            (FieldKind::Date, Literal::Date(text)) => match parse_date(text) {
                Some(date) => Ok(Value::from(date)),
                None => wrong("date", false),
            },
            (FieldKind::Date, _) => wrong("date", false),
            (FieldKind::DateTime, Literal::Instant(text)) => match parse_instant(text) {
                Some(ms) => Ok(Value::from(instant_text(ms))),
                None => wrong("dateTime", false),
            },
            (FieldKind::DateTime, _) => wrong("dateTime", false),
            (_, Literal::Number(number)) => Ok(Value::from(*number)),
            (FieldKind::Integer { .. }, _) => wrong("int", false),
            _ => wrong("double", false),
        }
    }

    fn bad_escape(&self, path: &Path, escape: &str) -> SoqlError {
        SoqlError::at("MALFORMED_QUERY", self.text, path.at, &format!("Illegal escape sequence: {escape}"))
    }

    fn bad_operator(&self, resolved: &ResolvedField, path: &Path) -> SoqlError {
        let message = format!("invalid operator on field '{}'", resolved.field.name);
        SoqlError::at("INVALID_QUERY_FILTER_OPERATOR", self.text, path.at, &message)
    }
}

/// How a value stands in the set of an IN: ids keep their case, other text only if its field tells it apart.
pub(crate) fn set_text(field: &Field, value: &Value) -> String {
    match (&field.kind, value) {
        (FieldKind::Id | FieldKind::Lookup { .. }, Value::String(id)) => id.clone(),
        (_, Value::String(text)) if field.case_sensitive => text.clone(),
        (_, Value::String(text)) => text.to_lowercase(),
        (_, Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN).to_string(),
        (_, other) => other.to_string(),
    }
}

fn is_text(kind: &FieldKind) -> bool {
    !matches!(
        kind,
        FieldKind::Id
            | FieldKind::Lookup { .. }
            | FieldKind::Checkbox
            | FieldKind::Date
            | FieldKind::DateTime
            | FieldKind::Integer { .. }
            | FieldKind::Number { .. }
            | FieldKind::Currency { .. }
            | FieldKind::Percent { .. }
    )
}
