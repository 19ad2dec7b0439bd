//! SQL text that each connection prepares once. [`diesel::sql_query`] instead parses and plans its
//! text on every call, in an extra round trip.

use diesel::{
    IntoSql as _, QueryResult,
    expression::{AsExpression, TypedExpressionType},
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId, SqlQuery},
    sql_types::{SingleValue, SqlType},
};

/// A statement and its values.
pub struct Prepared<'a> {
    text: &'static str,
    values: Vec<Box<dyn QueryFragment<Pg> + Send + 'a>>,
}

/// Creates a statement. The `?` placeholders take the values in binding order.
pub fn prepared<'a>(text: &'static str) -> Prepared<'a> {
    Prepared {
        text,
        values: Vec::new(),
    }
}

impl<'a> Prepared<'a> {
    /// Binds the next value.
    #[must_use]
    pub fn bind<ST, T>(mut self, value: T) -> Self
    where
        ST: SqlType + SingleValue + TypedExpressionType,
        T: AsExpression<ST>,
        T::Expression: QueryFragment<Pg> + Send + 'a,
    {
        self.values.push(Box::new(value.into_sql::<ST>()));
        self
    }
}

impl QueryFragment<Pg> for Prepared<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for (value, piece) in self.values.iter().zip(pieces) {
            value.walk_ast(out.reborrow())?;
            out.push_sql(piece);
        }
        Ok(())
    }
}

/// No static id, because the text is the key of the prepared statement.
impl QueryId for Prepared<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Prepared<'_> {
    type SqlType = <SqlQuery as Query>::SqlType;
}
