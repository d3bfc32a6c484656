package models_test

import (
	"reflect"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // so that the zones below are there on any machine

	"pgregory.net/rapid"

	"clientele/models"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func instant(t testing.TB, text string) models.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return models.At(at)
}

func TestPresetsAreTheNumbersOfRuleA3(t *testing.T) {
	long := models.Allowance{For: 48 * time.Hour, Messages: 20}
	short := models.Allowance{For: time.Minute, Messages: 3}
	for _, tc := range []struct {
		preset models.PolicyPreset
		want   map[models.ContactAction]models.Allowance
	}{
		{models.PresetClassic, map[models.ContactAction]models.Allowance{
			"MESSAGE": long, "MENU": long, "FOLLOW": long, "SCAN": long, "PAYMENT": long,
		}},
		{models.PresetPlatformToday, map[models.ContactAction]models.Allowance{
			"MESSAGE": {For: 48 * time.Hour, Messages: 5}, "MENU": short, "FOLLOW": short, "SCAN": short, "PAYMENT": long,
		}},
		{"UNHEARD_OF", map[models.ContactAction]models.Allowance{}},
	} {
		t.Run(string(tc.preset), func(t *testing.T) {
			p := tc.preset.Policy(time.UTC, models.CarrierDirect)
			for _, a := range models.ContactActions() {
				if got := p.Actions[a]; got != tc.want[a] {
					t.Errorf("%s opens %+v, want %+v", a, got, tc.want[a])
				}
			}
			if p.OutreachPerMonth != 4 || p.OutreachSession != time.Minute || p.OutreachMessages != 3 {
				t.Errorf("outreach %d a month, %v for %d messages", p.OutreachPerMonth, p.OutreachSession, p.OutreachMessages)
			}
			if want := tc.preset != "UNHEARD_OF"; tc.preset.Valid() != want {
				t.Errorf("Valid is %v", !want)
			}
		})
	}
}

func TestOverridesOfOnePolicyDoNotReachAnother(t *testing.T) {
	p := models.PresetClassic.Policy(time.UTC, models.CarrierDirect)
	p.Actions[models.ActionMessage] = models.Allowance{}
	if q := models.PresetClassic.Policy(time.UTC, models.CarrierDirect); !q.Actions[models.ActionMessage].Opens() {
		t.Error("an override changed the preset")
	}
}

func TestBeyondNamesWhatExceedsThePlatform(t *testing.T) {
	platform := models.PresetPlatformToday.Policy(time.UTC, models.CarrierNone)
	classic := models.PresetClassic.Policy(time.UTC, models.CarrierNone)
	if got := platform.Beyond(platform); got != nil {
		t.Errorf("the platform's numbers exceed themselves: %v", got)
	}
	want := []models.ContactAction{"MESSAGE", "MENU", "FOLLOW", "SCAN"}
	if got := classic.Beyond(platform); !slices.Equal(got, want) {
		t.Errorf("CLASSIC exceeds in %v, want %v", got, want)
	}
	longer := models.PresetPlatformToday.Policy(time.UTC, models.CarrierNone)
	longer.Actions[models.ActionMenu] = models.Allowance{For: time.Minute + time.Microsecond, Messages: 1}
	if got := longer.Beyond(platform); !slices.Equal(got, []models.ContactAction{"MENU"}) {
		t.Errorf("a longer window exceeds in %v, want MENU", got)
	}
}

func TestOnlyDirectCarriesASingleMessage(t *testing.T) {
	for carrier, want := range map[models.OutreachCarrier]bool{
		"DIRECT": true, "NONE": false, "TEMPLATE": false, "SUBSCRIBE": false, "MASS_SEND": false, "PIGEON": false,
	} {
		if got := carrier.CarriesMessages(); got != want {
			t.Errorf("%s carries messages: %v", carrier, got)
		}
		if got := carrier.Valid(); got != (carrier != "PIGEON") {
			t.Errorf("%s is valid: %v", carrier, got)
		}
	}
	for _, a := range models.ContactActions() {
		if !a.Valid() {
			t.Errorf("%s is not valid", a)
		}
	}
	if models.ContactAction("VIEW").Valid() {
		t.Error("VIEW is valid")
	}
}

func TestMonthsAreCountedInTheAccountsZone(t *testing.T) {
	for _, tc := range []struct {
		name, zone, at string
		year, month    int
		next           string
	}{
		{"the last instant of a month", "Asia/Shanghai", "2026-01-31T15:59:59.999999Z", 2026, 1, "2026-01-31T16:00:00Z"},
		{"the first instant of a month", "Asia/Shanghai", "2026-01-31T16:00:00Z", 2026, 2, "2026-02-28T16:00:00Z"},
		{"another zone at the same instant", "UTC", "2026-01-31T16:00:00Z", 2026, 1, "2026-02-01T00:00:00Z"},
		{"the end of a year", "Asia/Shanghai", "2026-12-31T15:59:59Z", 2026, 12, "2026-12-31T16:00:00Z"},
		{"the start of a year", "Asia/Shanghai", "2026-12-31T16:00:00Z", 2027, 1, "2027-01-31T16:00:00Z"},
		{"a leap year's February", "UTC", "2028-02-01T00:00:00Z", 2028, 2, "2028-03-01T00:00:00Z"},
		{"summer time begins within the month", "America/New_York", "2026-03-01T05:00:00Z", 2026, 3, "2026-04-01T04:00:00Z"},
		{"summer time ends within the month", "America/New_York", "2026-11-01T04:00:00Z", 2026, 11, "2026-12-01T05:00:00Z"},
		{"a first that has no midnight", "America/Asuncion", "2017-09-15T00:00:00Z", 2017, 9, "2017-10-01T04:00:00Z"},
		{"a first that has two midnights", "America/Havana", "2015-10-15T00:00:00Z", 2015, 10, "2015-11-01T04:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := models.Policy{Zone: zone(t, tc.zone)}
			at := instant(t, tc.at)
			if got, want := p.MonthOf(at), tc.year*12+tc.month-1; got != want {
				t.Errorf("month %d-%02d, want %d-%02d", got/12, got%12+1, tc.year, tc.month)
			}
			if got, want := p.NextMonth(at), instant(t, tc.next); got != want {
				t.Errorf("next month at %v, want %v", got.Go(), want.Go())
			}
		})
	}
}

func TestNoZoneIsUTC(t *testing.T) {
	at := instant(t, "2026-01-31T23:59:59.999999Z")
	if got := (models.Policy{}).NextMonth(at); got != at+1 {
		t.Errorf("next month at %v", got.Go())
	}
}

func TestNextMonthIsTheFirstInstantOfTheMonthAfter(t *testing.T) {
	zones := []string{
		"UTC", "Asia/Shanghai", "America/New_York", "America/Asuncion", "America/Havana", "Asia/Amman",
		"Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe", "Africa/Casablanca",
	}
	rapid.Check(t, func(t *rapid.T) {
		z, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		p := models.Policy{Zone: z}
		at := models.Time(rapid.Int64Range(946_684_800_000_000, 2_208_988_800_000_000).Draw(t, "at")) // 2000 to 2040
		next, month := p.NextMonth(at), p.MonthOf(at)
		if next <= at || p.MonthOf(next) != month+1 || p.MonthOf(next-1) != month {
			t.Fatalf("after %v the month begins at %v", at.Go(), next.Go())
		}
	})
}

func TestOverridesReplaceSingleNumbers(t *testing.T) {
	n := func(v int) *int { return &v }
	o := models.PolicyOverrides{
		Actions:          []models.AllowanceOverride{{Action: "MENU", Messages: n(1)}, {Action: "SCAN", Seconds: n(60)}, {Action: "FOLLOW", Messages: n(0)}},
		OutreachPerMonth: n(2), OutreachSessionSeconds: n(30), OutreachMessages: n(5),
	}
	preset := classic(t)
	p := o.Apply(preset)
	for action, want := range map[models.ContactAction]models.Allowance{
		"MESSAGE": {For: 48 * time.Hour, Messages: 20}, "MENU": {For: 48 * time.Hour, Messages: 1},
		"SCAN": {For: time.Minute, Messages: 20}, "FOLLOW": {For: 48 * time.Hour}, "PAYMENT": {For: 48 * time.Hour, Messages: 20},
	} {
		if p.Actions[action] != want {
			t.Errorf("%s opens %+v, want %+v", action, p.Actions[action], want)
		}
		if preset.Actions[action] != (models.Allowance{For: 48 * time.Hour, Messages: 20}) {
			t.Errorf("the preset's %s was changed", action)
		}
	}
	if p.OutreachPerMonth != 2 || p.OutreachSession != 30*time.Second || p.OutreachMessages != 5 || p.Carrier != preset.Carrier {
		t.Errorf("outreach: %+v", p)
	}
	t.Run("kept and read again", func(t *testing.T) {
		for _, o := range []models.PolicyOverrides{o, {}} {
			v, err := o.Value()
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range []any{v, []byte(v.(string))} {
				again := models.PolicyOverrides{OutreachMessages: n(9)}
				if err := again.Scan(src); err != nil || !reflect.DeepEqual(again, o) {
					t.Errorf("%v became %+v, %v", src, again, err)
				}
			}
		}
		if v, err := (models.PolicyOverrides{}).Value(); v != "" || err != nil {
			t.Errorf("none are kept as %v, %v", v, err)
		}
		var broken models.PolicyOverrides
		if broken.Scan("{") == nil || broken.Scan(7) == nil || broken.Scan(nil) != nil {
			t.Error("what is no JSON was read, or NULL was not")
		}
	})
	t.Run("the largest fits its column", func(t *testing.T) {
		o := models.PolicyOverrides{OutreachPerMonth: n(100), OutreachSessionSeconds: n(86_400), OutreachMessages: n(100)}
		for _, a := range models.ContactActions() {
			o.Actions = append(o.Actions, models.AllowanceOverride{Action: a, Messages: n(1_000), Seconds: n(2_592_000)})
		}
		if err := o.Check("o"); err != nil {
			t.Fatal(err)
		}
		if v, err := o.Value(); err != nil || len(v.(string)) > 1_024 {
			t.Errorf("%v, %v", v, err)
		}
	})
}

func TestWarningsAreThePlatformsOnly(t *testing.T) {
	n := 6
	over := models.PolicyOverrides{Actions: []models.AllowanceOverride{{Action: "MESSAGE", Messages: &n}}}
	for _, tt := range []struct {
		channel models.ChannelKind
		preset  models.PolicyPreset
		over    models.PolicyOverrides
		want    int
	}{
		{models.ChannelWechat, models.PresetPlatformToday, models.PolicyOverrides{}, 0},
		{models.ChannelWechat, models.PresetPlatformToday, over, 1},
		{models.ChannelWechat, models.PresetClassic, models.PolicyOverrides{}, 4},
		{models.ChannelSandbox, models.PresetClassic, over, 0},
	} {
		a := &models.Account{Channel: tt.channel, PolicyPreset: tt.preset, PolicyOverrides: tt.over, TimeZone: "Asia/Shanghai"}
		if got := a.PolicyWarnings(); len(got) != tt.want {
			t.Errorf("%s %s: %d warnings, want %d", tt.channel, tt.preset, len(got), tt.want)
		}
	}
}
