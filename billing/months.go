package billing

// LeastChargeCents is Stripe's least charge in US dollars. What is owed under it is
// carried to the next invoice (R3).
const LeastChargeCents = 50
