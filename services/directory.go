package services

import (
	"context"
	"errors"

	"clientele/models"
)

// Directory is a channel that can tell who follows an account. A Channel may be one or not. Its errors:
// one that wraps ErrAway when the platform does not answer now; a *models.Error with RetryAt when it will not answer before; any other *models.Error is
// final, STATE above all when the account's credentials do not let it ask.
type Directory interface {
	// Followers reads openids that follow after one, in the platform's order, at most limits.FollowersPage; an empty after reads the first.
	Followers(ctx context.Context, account *models.Account, after models.Ident) (FollowersPage, error)
	// FollowersInfo answers what the platform knows of at most limits.FollowersInfo followers, in any order. Of whom it does not say anything
	// nothing is known.
	FollowersInfo(ctx context.Context, account *models.Account, openids []models.Ident) ([]FollowerInfo, error)
}

// FollowersPage is a part of the list of who follows an account.
type FollowersPage struct {
	OpenIDs []models.Ident
	// Next reads the page behind this one; empty when there are no more. A page may be empty.
	Next models.Ident
	// Total is how many follow the account.
	Total int64
}

// FollowerInfo is what the platform knows of somebody.
type FollowerInfo struct {
	OpenID models.Ident
	// UnionID is empty where the platform has none.
	UnionID models.Ident
	// Follows: they follow now. If not, all that is below is zero.
	Follows bool
	// Advertised: they came through an advertisement (rule E3).
	Advertised bool
	// FollowedAt is since when, to the second.
	FollowedAt models.Time
}

// ErrAway is wrapped by what a Directory answers when the platform cannot be reached or does not answer; it is asked again later.
var ErrAway = errors.New("the platform does not answer")

// directory is an account's channel as a Directory; false when it is none.
func (s *Services) directory(a *models.Account) (Directory, bool) {
	d, ok := s.channels[a.Channel].(Directory)
	return d, ok
}
