package services

import (
	"fmt"
	"slices"
	"testing"

	"clientele/limits"
	"clientele/models"
)

// Ensure a node keeps limits.FollowersKept pages of limits.FollowersPage followers, and finds in them what stands behind a follower.
func TestFollowerPages(t *testing.T) {
	page := FollowersPage{Next: "next"}
	for i := range limits.FollowersPage {
		page.OpenIDs = append(page.OpenIDs, models.Ident(fmt.Sprintf("f%d", i)))
	}
	if got := page.bounded(); len(got.OpenIDs) != limits.FollowersPage || got.Next != "next" {
		t.Errorf("a whole page became one of %d, then %q", len(got.OpenIDs), got.Next)
	}
	longer := FollowersPage{OpenIDs: append(slices.Clone(page.OpenIDs), "one more"), Next: "next"}
	if got := longer.bounded(); len(got.OpenIDs) != limits.FollowersPage || got.Next != got.OpenIDs[limits.FollowersPage-1] {
		t.Errorf("a page that is too long became one of %d, then %q", len(got.OpenIDs), got.Next)
	}
	p := &followerPages{pages: map[models.Key]FollowersPage{}}
	job := models.NewKey()
	p.keep(job, page)
	if got, kept := p.behind(job, "f9997"); !kept || !slices.Equal(got.OpenIDs, []models.Ident{"f9998", "f9999"}) || got.Next != "next" {
		t.Errorf("behind the third of the end: %v, %v", got, kept)
	}
	for _, after := range []models.Ident{"", "f9999", "somebody"} {
		if _, kept := p.behind(job, after); kept {
			t.Errorf("something is kept behind %q", after)
		}
	}
	if _, kept := p.behind(models.NewKey(), "f1"); kept {
		t.Error("a page is kept of another job")
	}
	p.keep(job, page)
	for range limits.FollowersKept - 1 {
		p.keep(models.NewKey(), FollowersPage{})
	}
	if _, kept := p.behind(job, "f1"); !kept || len(p.pages) != limits.FollowersKept {
		t.Errorf("%d pages are kept, among them the first: %v", len(p.pages), kept)
	}
	for range 3 {
		if p.keep(models.NewKey(), FollowersPage{}); len(p.pages) != limits.FollowersKept {
			t.Errorf("%d pages are kept", len(p.pages))
		}
	}
}
