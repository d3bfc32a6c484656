package models

// BindingOperation is what the merchant asks of bindings (rule E5).
type BindingOperation string

// The operations on bindings.
const (
	// OperationAssign binds customers who have no advisor.
	OperationAssign BindingOperation = "ASSIGN"
	// OperationRebind binds customers whoever has them now.
	OperationRebind BindingOperation = "REBIND"
	// OperationUnbind leaves customers without an advisor.
	OperationUnbind BindingOperation = "UNBIND"
)

// BindingOrder is an operation on bindings with whom the customers go to.
type BindingOrder struct {
	Operation BindingOperation `json:"operation"`
	// Advisor is who gets them, or Group whose free members do; both zero for OperationUnbind.
	Advisor Key           `json:"advisor,omitzero"`
	Group   Key           `json:"group,omitzero"`
	Source  BindingSource `json:"source"`
	// Keep is what goes with a customer to the advisor of OperationRebind (rule E6).
	Keep BindingKeep `json:"keep,omitzero"`
}

// BindingKeep is what goes with a customer who is rebound (rule E6).
type BindingKeep struct {
	// Nickname: what they are called stays; else it is cleared.
	Nickname bool `json:"nickname"`
	// Info: what was noted of them stays; else it is cleared.
	Info bool `json:"info"`
	// Tags: their tags stay; else all are taken off.
	Tags bool `json:"tags"`
	// History: the new advisor reads what the former one read; else what is written from then on.
	History bool `json:"history"`
}

// BindTarget is to whom an order would bind, as it stands under the row locks.
type BindTarget struct {
	// Advisor is the one that the order names; nil when it names a group.
	Advisor *Advisor
	// IsMember reports whether an advisor belongs to the group that the order names.
	IsMember func(advisor Key) bool
	// Draw is a free member of that group, at random, who is not the customer; nil: none is.
	Draw func(*Customer) *Advisor
}

// Bind decides what becomes of a locked customer under an order to bind (rules E1, E5): to whom
// they go; nil and no error when they are there already. Errors: NOT_FOLLOWING,
// BOUND_TO_ANOTHER_ADVISOR, SELF, ADVISOR_FULL, GROUP_HAS_NO_FREE_ADVISOR. A suspended binding does
// not count as one, as for a code (rule C2).
func (t BindTarget) Bind(c *Customer, op BindingOperation) (*Advisor, *Error) {
	bound := c.BoundTo()
	switch {
	case c.FollowState != Following:
		return nil, Errorf(CodeNotFollowing, "the customer does not follow the account")
	case !bound.IsZero() && t.has(bound):
		return nil, nil // nothing is to be done.
	case !bound.IsZero() && op != OperationRebind:
		return nil, Errorf(CodeBoundToAnother, "the customer is another advisor's")
	case t.Advisor == nil:
		if a := t.Draw(c); a != nil {
			return a, nil
		}
		return nil, Errorf(CodeGroupHasNoFree, "no member of the group is active and has room")
	case c.isPerson(t.Advisor):
		return nil, Errorf(CodeSelf, "nobody is their own customer")
	case t.Advisor.IsFull():
		return nil, Errorf(CodeAdvisorFull, "the advisor has no room")
	}
	return t.Advisor, nil
}

func (t BindTarget) has(bound Key) bool {
	if t.Advisor != nil {
		return bound == t.Advisor.Key
	}
	return t.IsMember(bound)
}

// HideHistory hides what was written so far from the present advisor (rule E6). What is written
// later shows, whatever the clock of the node that writes it says: see WrittenAt.
func (c *Conversation) HideHistory(now Time) { c.VisibleFrom = max(now, c.ActiveAt+1) }

// WrittenAt is when a message that is written at now counts as stored: not before what hides the
// history, since its transaction may have begun earlier.
func (c *Conversation) WrittenAt(now Time) Time { return max(now, c.VisibleFrom) }

// ItemResult is what came of one item of a bulk call, as it is kept: for the call's idempotency
// key (rule E15), in the audit log (rule R5) and with a job.
type ItemResult struct {
	// Target is what the item named; zero when that was not found.
	Target  Key    `json:"target,omitzero"`
	Changed bool   `json:"changed,omitempty"`
	Err     *Error `json:"error,omitempty"`
	// Before and After are what the audit log tells of it (rule R5): the values that changed. Nil: nothing. They
	// are not kept with an idempotency key.
	Before map[string]any `json:"-"`
	After  map[string]any `json:"-"`
}

// Outcome is the code of its error; OK or UNCHANGED without one.
func (r ItemResult) Outcome() string {
	switch {
	case r.Err != nil:
		return string(r.Err.Code)
	case r.Changed:
		return "OK"
	}
	return "UNCHANGED"
}
