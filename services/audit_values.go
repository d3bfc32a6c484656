package services

import (
	"slices"

	"clientele/models"
)

// customerValues is what calls for many change of a customer, as the audit log tells it (rule R5).
type customerValues struct {
	advisor, image   models.Key
	nickname, avatar string
	info             models.Lines
	region           models.Region
	tags             []string
}

// told is what of a customer the audit log may tell now. tags are their names, where the call may change them.
func told(c *models.Customer, tags []string) customerValues {
	return customerValues{
		advisor: c.AdvisorID, nickname: c.Nickname, avatar: c.AvatarURL, image: c.AvatarID, info: c.Info, tags: tags,
		region: models.Region{Country: c.Country, Province: c.Province, City: c.City},
	}
}

// changes are the values that became others: what they were, and what they are.
func (was customerValues) changes(is customerValues) (before, after map[string]any) {
	before, after = map[string]any{}, map[string]any{}
	add := func(name string, same bool, x, y any) {
		if !same {
			before[name], after[name] = x, y
		}
	}
	add("advisorId", was.advisor == is.advisor, advisorID(was.advisor), advisorID(is.advisor))
	add("nickname", was.nickname == is.nickname, was.nickname, is.nickname)
	add("avatarUrl", was.avatar == is.avatar, was.avatar, is.avatar)
	add("avatarImageId", was.image == is.image, imageID(was.image), imageID(is.image))
	add("info", slices.Equal(was.info, is.info), lines(was.info), lines(is.info))
	add("region", was.region == is.region, region(was.region), region(is.region))
	add("tags", slices.Equal(was.tags, is.tags), lines(was.tags), lines(is.tags))
	return before, after
}

// lines is never null in JSON.
func lines(of []string) []string { return append([]string{}, of...) }

func region(r models.Region) map[string]string {
	return map[string]string{"country": r.Country, "province": r.Province, "city": r.City}
}
