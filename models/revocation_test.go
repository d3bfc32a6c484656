package models_test

import (
	"testing"

	"clientele/models"
)

func TestRevocationsCover(t *testing.T) {
	anna, ben := models.NewKey(), models.NewKey()
	r := models.NewRevocations([]*models.Revocation{
		{Kind: models.RevokedToken, Name: "t1"},
		{Kind: models.RevokedSubject, Name: "boss", IssuedBefore: 100},
		{Kind: models.RevokedAdvisor, Name: models.Ident(anna.String()), IssuedBefore: 200},
	})
	for _, tt := range []struct {
		name, token, subject string
		advisor              models.Key
		issued               models.Time
		want                 bool
	}{
		{"by its id", "t1", "x", ben, 999, true},
		{"another id", "t2", "x", ben, 0, false},
		{"without an id", "", "x", models.Key{}, 0, false},
		{"its id is no subject", "boss", "t1", ben, 0, false},
		{"by subject, before", "t2", "boss", models.Key{}, 99, true},
		{"by subject, at that instant", "t2", "boss", models.Key{}, 100, false},
		{"by subject, nobody says when", "t2", "boss", models.Key{}, 0, true},
		{"by advisor, before", "t2", "openid:anna", anna, 199, true},
		{"by advisor, at that instant", "t2", "id:" + anna.String(), anna, 200, false},
		{"by advisor, nobody says when", "", "ext:7", anna, 0, true},
		{"another advisor", "", "ext:8", ben, 0, false},
	} {
		if got := r.Covers(tt.token, tt.subject, tt.advisor, tt.issued); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	if models.NewRevocations(nil).Covers("t1", "boss", anna, 0) {
		t.Error("no revocations cover a token")
	}
}
