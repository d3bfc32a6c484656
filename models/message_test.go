package models

import (
	"testing"
	"time"

	"clientele/limits"
)

// Ensure a follow reply is taken from the reply window alone, changes nothing but the ledger and what the last message is, and lapses
// with what a follow opens, to the microsecond (rule H4).
func TestFollowReply(t *testing.T) {
	now := At(time.Date(2026, time.March, 2, 1, 0, 0, 0, time.UTC))
	a := &Account{Channel: ChannelWechat, PolicyPreset: PresetPlatformToday, OutreachCarrier: CarrierDirect, TimeZone: "Asia/Shanghai", FollowReply: "welcome"}
	open := func() *Conversation {
		c := &Conversation{AccountID: NewKey(), CustomerID: NewKey(), AdvisorID: NewKey(), LastCustomerAt: now.Add(-time.Hour), LastAdvisorAt: now.Add(-2 * time.Hour)}
		c.Contact = c.Contact.Opened(ActionFollow, now, a.Policy())
		return c
	}
	c := open()
	m := a.FollowReplyTo(c, now)
	if m == nil || m.Direction != FromSystem || m.Text != "welcome" || m.Slot.Kind != SlotWindow || m.AdvisorID != c.AdvisorID || c.LastMessageID != m.Key {
		t.Fatalf("the reply is %+v", m)
	}
	if c.WindowLeft != limits.PlatformShortMessages-1 || !c.HasReplied() || c.Unread != 0 {
		t.Errorf("the conversation is %+v", c)
	}
	for name, c := range map[string]*Conversation{
		"ended": {Contact: open().Contact}, "spent": {Contact: Contact{WindowEnd: now.Add(time.Hour)}},
		"of an outreach": {Contact: Contact{SessionEnd: now.Add(2 * limits.PlatformShortWindow), SessionLeft: 3, SessionMonth: 1, SessionNo: 1}},
	} {
		before := c.Contact
		if m := a.FollowReplyTo(c, now.Add(limits.PlatformShortWindow)); m != nil || c.Contact != before {
			t.Errorf("%s: %+v, the ledger is %+v", name, m, c.Contact)
		}
	}
	a.FollowReply = ""
	if m := a.FollowReplyTo(open(), now); m != nil {
		t.Errorf("without one: %+v", m)
	}
	wrote := c.Contact.Opened(ActionMessage, now, a.Policy())
	for _, tt := range []struct {
		contact Contact
		after   time.Duration
		want    bool
	}{
		{c.Contact, 0, false},
		{c.Contact, limits.PlatformShortWindow - time.Microsecond, false},
		{c.Contact, limits.PlatformShortWindow, true},
		{wrote, limits.PlatformShortWindow - time.Microsecond, false},
		{wrote, limits.PlatformShortWindow, true},
		{c.Contact.PlatformEnded(now), time.Second, true},
	} {
		if got := m.IsLapsed(tt.contact, a.Policy(), now.Add(tt.after)); got != tt.want {
			t.Errorf("after %v it has lapsed: %v", tt.after, got)
		}
	}
	if (&Message{Direction: FromAdvisor}).IsLapsed(Contact{}, a.Policy(), now) {
		t.Error("an advisor's message lapses")
	}
}
