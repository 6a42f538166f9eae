// Package judge holds what is said to the Stripe double, and what it answers,
// against a description that neither was written from: Stripe's own OpenAPI
// description of API version 2023-10-16, as the module stripe-mock carries it.
//
// A test gets its double from [Double]. From then on each request that reaches the
// double is judged (an unknown parameter, a wrong type, a missing required one),
// and so is each answer, each error and each event with the object inside it. What
// breaks the description fails the test, without the test doing anything for it;
// the linter importcheck refuses a test that makes a double in another way.
//
// Judging is stricter than the description in two points. An object may only hold
// the properties described, since a misspelt one would else pass as an addition.
// And a resource that the double does not model may not appear at all.
//
// [Transcript] judges what a double in another process wrote down.
package judge
