package models_test

import (
	"testing"

	"clientele/models"
)

// Ensure a past message is taken in as far as it is later than what is known, and is no interaction and nothing unread.
func TestConversationsRememberPastMessages(t *testing.T) {
	at := func(n byte) models.Message {
		return models.Message{Key: models.Key{n}, At: models.Time(n), Direction: models.FromCustomer}
	}
	c := models.Conversation{LastMessageID: models.Key{5}, ActiveAt: 7, LastCustomerAt: 5, LastAdvisorAt: 4, LastInteractionAt: 5}
	before := c
	early := at(3)
	c.Remember(&early)
	if c != before {
		t.Errorf("an earlier one changed %+v", c)
	}
	late := at(6)
	c.Remember(&late)
	want := before
	want.LastMessageID, want.LastCustomerAt = models.Key{6}, 6
	if c != want || !c.HasReplied() {
		t.Errorf("got %+v, want %+v", c, want)
	}
	answer := at(8)
	answer.Direction = models.FromAdvisor
	c.Remember(&answer)
	want.LastMessageID, want.ActiveAt, want.LastAdvisorAt = models.Key{8}, 8, 8
	if c != want || c.HasReplied() {
		t.Errorf("got %+v, want %+v", c, want)
	}
}
