package models

// Primed is what a committed transaction hands to the hub beside its events. Its rows are
// shared by all who are told of the event: nobody may change them.
type Primed struct {
	// At is when the transaction ran; limits.PrimedFor later the rows are no longer used.
	At           Time
	Customer     *Customer
	Conversation *Conversation
	Message      *Message
	Notification *Notification
	Job          *Job
	Change       *CustomerChange
	Binding      *Binding
	Scan         *Scan
	Advisor      *Advisor
}
