package crash

import (
	"fmt"
	"slices"

	"clientele/models"
)

// Fault is what kind of promise was broken.
type Fault string

// The faults.
const (
	// Lost: it was acknowledged, and is not in the database.
	Lost Fault = "lost"
	// Double: it was to be there once, and is there more than once.
	Double Fault = "double"
	// Hole: the numbers of a stream are not 1 to its head, each once.
	Hole Fault = "hole"
	// Torn: the log and the rows it speaks of do not belong to the same transactions.
	Torn Fault = "torn"
	// Missed: a client did not receive what the log has.
	Missed Fault = "missed"
	// Phantom: a client received what the log does not have, or has otherwise, or the platform what
	// the database does not have, or has otherwise.
	Phantom Fault = "phantom"
	// Again: a client received a number that it had already received, or a lower one.
	Again Fault = "again"
	// Refused: a cursor of the run was not continued.
	Refused Fault = "refused"
	// Unsent: it counts as SENT, and the platform does not have it.
	Unsent Fault = "unsent"
	// Denied: it counts as FAILED, and the platform has it.
	Denied Fault = "denied"
	// Disorder: a customer's messages did not leave in the order in which they were queued.
	Disorder Fault = "disorder"
)

// Violation is one broken promise, and says of what.
type Violation struct {
	Fault Fault
	What  string
}

func (v Violation) String() string { return string(v.Fault) + ": " + v.What }

// Check compares the records of a run and returns every promise that was broken; none when all
// were kept. The promises (rules N4, G5, G6, E15, K1):
//
//   - the events of a stream are numbered 1, 2, 3 … to its head;
//   - every acknowledged message is stored, once, with the events that tell of it, and a key has
//     one message however often it was answered;
//   - each client received, over all its connections together, exactly what the log has behind
//     its first cursor, by id, in order, each once, at least as far as its goal;
//   - the platform received nothing that is not stored, each message once at most, those of a
//     customer in the order in which they were queued; what is SENT it has, what FAILED it has
//     not. It may have what is UNKNOWN, and of a customer's QUEUED messages the first.
func Check(h *History) []Violation {
	c := &checker{h: h, logs: h.logs(), messages: map[models.Key]*models.Message{}, texts: map[string][]*models.Message{}}
	for i := range h.Messages {
		m := &h.Messages[i]
		c.messages[m.Key] = m
		c.texts[m.Text] = append(c.texts[m.Text], m)
	}
	c.numbers()
	c.rows()
	c.acknowledged()
	for i := range h.Listeners {
		c.listener(&h.Listeners[i])
	}
	c.handed()
	return c.found
}

type checker struct {
	h        *History
	logs     map[models.Key]log
	messages map[models.Key]*models.Message
	texts    map[string][]*models.Message
	found    []Violation
}

func (c *checker) fault(f Fault, format string, args ...any) {
	c.found = append(c.found, Violation{f, fmt.Sprintf(format, args...)})
}

// numbers holds each stream to 1, 2, 3 … head.
func (c *checker) numbers() {
	for stream, l := range c.logs {
		next := int64(1)
		for _, e := range l {
			switch {
			case e.Seq < next:
				c.fault(Hole, "stream %s has number %d twice", stream, e.Seq)
				continue
			case e.Seq > next:
				c.fault(Hole, "stream %s lacks the numbers %d to %d", stream, next, e.Seq-1)
			}
			next = e.Seq + 1
		}
		if head := c.h.Heads[stream]; head != next-1 {
			c.fault(Hole, "stream %s ends with number %d, its counter says %d", stream, next-1, head)
		}
	}
	for stream, head := range c.h.Heads {
		if head != 0 && c.logs[stream] == nil {
			c.fault(Hole, "stream %s is empty, its counter says %d", stream, head)
		}
	}
}

// rows holds messages and events to each other: both are of one transaction. A message of a
// customer has one event, one of an advisor one when it was queued and one when it came to its
// end.
func (c *checker) rows() {
	told := map[models.Key]int{}
	for _, e := range c.h.Events {
		if e.Kind != models.EventMessageReceived && e.Kind != models.EventMessageStatus {
			continue
		}
		m := c.messages[e.Message]
		if m == nil {
			c.fault(Torn, "number %d of stream %s tells of message %s, which is not stored", e.Seq, e.Stream, e.Message)
			continue
		}
		if e.Stream != m.AdvisorID || e.Customer != m.CustomerID || (e.Kind == models.EventMessageReceived) != (m.Direction == models.FromCustomer) {
			c.fault(Torn, "number %d of stream %s tells otherwise of message %s than its row", e.Seq, e.Stream, e.Message)
		}
		told[m.Key]++
	}
	for i := range c.h.Messages {
		m := &c.h.Messages[i]
		want := 2
		switch {
		case m.AdvisorID.IsZero():
			want = 0
		case m.Direction == models.FromCustomer, m.Status == models.StatusQueued:
			want = 1
		}
		switch n := told[m.Key]; {
		case n < want:
			c.fault(Torn, "message %s of customer %s (%s) has %d events in the log, not %d", m.Key, m.CustomerID, m.Status, n, want)
		case n > want:
			c.fault(Double, "message %s of customer %s (%s) has %d events in the log, not %d", m.Key, m.CustomerID, m.Status, n, want)
		}
	}
}

// acknowledged holds the answers to the tables.
func (c *checker) acknowledged() {
	inLog := map[models.Key]bool{}
	for _, e := range c.h.Events {
		inLog[e.Message] = true
	}
	stored := func(what, text string, customer models.Key) *models.Message {
		found := c.texts[text]
		if len(found) > 1 {
			c.fault(Double, "%s is stored %d times", what, len(found))
		}
		if len(found) == 0 || found[0].CustomerID != customer {
			c.fault(Lost, "%s was acknowledged and is not stored", what)
			return nil
		}
		if !inLog[found[0].Key] {
			c.fault(Lost, "%s was acknowledged and is not in the log", what)
		}
		return found[0]
	}
	for _, w := range c.h.Writes {
		stored(fmt.Sprintf("what customer %s wrote, %q,", w.Customer, w.Text), w.Text, w.Customer)
	}
	answers := map[string]models.Key{}
	for _, s := range c.h.Sends {
		key := s.Advisor.String() + " " + s.Key
		first, again := answers[key]
		answers[key] = s.Message
		if again {
			if first != s.Message {
				c.fault(Double, "key %q was answered with message %s and with %s", s.Key, first, s.Message)
			}
			continue
		}
		m := stored(fmt.Sprintf("message %s with key %q", s.Message, s.Key), s.Text, s.Customer)
		if m != nil && m.Key != s.Message {
			c.fault(Lost, "key %q was answered with message %s, and its text is that of message %s", s.Key, s.Message, m.Key)
		}
	}
}

// listener holds what a client received to the log. A client that was shown something else
// under a number was shown something that is not so, whatever the log has there: ids are
// compared, not only numbers.
func (c *checker) listener(l *Listener) {
	log := c.logs[l.Stream]
	last := l.Start
	have := map[int64]bool{}
	for n, conn := range l.Connections {
		if conn.After != last {
			c.fault(Again, "%s: connection %d began at %d, not at %d", l.Name, n, conn.After, last)
		}
		if conn.Refused != "" {
			c.fault(Refused, "%s: connection %d after number %d: %s", l.Name, n, conn.After, conn.Refused)
		}
		for _, r := range conn.Received {
			if r.Seq <= last {
				c.fault(Again, "%s: connection %d received %s after number %d", l.Name, n, r, last)
			}
			last = max(last, r.Seq)
			have[r.Seq] = true
			c.received(l, log, n, r)
		}
	}
	for i := range log {
		e := &log[i]
		if want, ok := l.Topic.shown(e); ok && e.Seq > l.Start && e.Seq <= max(last, l.Goal) && !have[e.Seq] {
			c.fault(Missed, "%s: never received %s", l.Name, want)
		}
	}
}

func (c *checker) received(l *Listener, log log, connection int, r Received) {
	e := log.at(r.Seq)
	if e == nil {
		c.fault(Phantom, "%s: connection %d received %s, the log has no such number", l.Name, connection, r)
		return
	}
	want, ok := l.Topic.shown(e)
	switch {
	case r == want && ok:
	case r.Type == withdrawn && ok && slices.ContainsFunc(log, func(left models.Event) bool {
		return left.Kind == models.EventCustomerLeft && left.Customer == e.Customer && left.Seq > e.Seq
	}):
		// The customer went to another advisor: only the number is shown.
	default:
		c.fault(Phantom, "%s: connection %d received %s, the log has %s of customer %s there", l.Name, connection, r, e.Kind, e.Customer)
	}
}

// handed holds what the platform received to the rows.
func (c *checker) handed() {
	times := map[models.Key]int{}
	turn := map[models.Key]int{} // of the first time
	for n, got := range c.h.Handed {
		if times[got.Message]++; times[got.Message] > 1 {
			continue
		}
		turn[got.Message] = n
		switch m := c.messages[got.Message]; {
		case m == nil:
			c.fault(Phantom, "the platform received message %s, which is not stored", got.Message)
		case m.Direction != models.FromAdvisor || m.CustomerID != got.Customer || m.Text != got.Text:
			c.fault(Phantom, "the platform received message %s as %q to customer %s, it is stored otherwise", got.Message, got.Text, got.Customer)
		}
	}
	for i := range c.h.Messages {
		m := &c.h.Messages[i]
		switch n := times[m.Key]; {
		case n > 1:
			c.fault(Double, "the platform received message %s of customer %s (%s) %d times", m.Key, m.CustomerID, m.Status, n)
		case n == 0 && m.Status == models.StatusSent:
			c.fault(Unsent, "message %s of customer %s is SENT, the platform never received it", m.Key, m.CustomerID)
		case n > 0 && m.Status == models.StatusFailed:
			c.fault(Denied, "message %s of customer %s is FAILED (%s), the platform received it", m.Key, m.CustomerID, m.FailureReason)
		}
	}
	for customer, queue := range c.queues() {
		var before, waits *models.Message // the last that was received, the first that still waits
		for _, m := range queue {
			if times[m.Key] > 0 {
				if before != nil && turn[m.Key] < turn[before.Key] {
					c.fault(Disorder, "the platform received message %s of customer %s before %s, which was queued before it", m.Key, customer, before.Key)
				}
				if waits != nil {
					c.fault(Disorder, "the platform received message %s of customer %s, and %s, which was queued before it, is QUEUED", m.Key, customer, waits.Key)
				}
				before = m
			}
			if m.Status == models.StatusQueued && waits == nil {
				waits = m
			}
		}
	}
}

// queues are the messages to each customer in the order in which they were queued: that of their
// first events, since a queue is filled under the lock of the stream. Its ids follow the same
// order here, where one clock serves all nodes, and are not asked.
func (c *checker) queues() map[models.Key][]*models.Message {
	queues := map[models.Key][]*models.Message{}
	for _, l := range c.logs {
		queued := map[models.Key]bool{}
		for i := range l {
			m := c.messages[l[i].Message]
			if l[i].Kind != models.EventMessageStatus || m == nil || queued[m.Key] {
				continue
			}
			queued[m.Key] = true
			queues[m.CustomerID] = append(queues[m.CustomerID], m)
		}
	}
	return queues
}
