package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// Options is what a kong program that embeds these structs needs: the defaults, and help that
// tells each setting's default and environment name.
func Options() []kong.Option {
	return []kong.Option{Vars(), kong.ValueFormatter(describe)}
}

// Vars is the defaults for the tags' ${name}: the flag's name with underscores, after "demo_",
// "token_" or "import_" for the settings of those commands alone.
func Vars() kong.Vars {
	v := kong.Vars{}
	collect(v, "token_", reflect.ValueOf(DefaultToken()))
	collect(v, "import_", reflect.ValueOf(DefaultImport()))
	collect(v, "demo_", reflect.ValueOf(DefaultDemo()))
	collect(v, "", reflect.ValueOf(Default()))
	return v
}

func collect(v kong.Vars, prefix string, settings reflect.Value) {
	for i := range settings.NumField() {
		field, value := settings.Type().Field(i), settings.Field(i)
		if field.Anonymous {
			collect(v, prefix, value)
			continue
		}
		v[prefix+strings.ReplaceAll(field.Tag.Get("name"), "-", "_")] = text(value)
	}
}

// text is a value as its flag reads it. Kinds without a case have no default.
func text(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		s := d.String()
		if s != "0s" {
			for _, zero := range []string{"m0s", "h0m"} {
				if strings.HasSuffix(s, zero) {
					s = s[:len(s)-2]
				}
			}
		}
		return s
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	default:
		return ""
	}
}

// describe is a flag's help with its default and its environment name.
func describe(v *kong.Value) string {
	if len(v.Tag.Envs) == 0 {
		return v.Help
	}
	return fmt.Sprintf("%s (default: %s; $%s)", v.Help, defaultText(v), v.Tag.Envs[0])
}

func defaultText(v *kong.Value) string {
	if v.Default == "" {
		return "none"
	}
	return v.Default
}

// Table is every setting of serve as one Markdown table (flag, environment, default, meaning) in
// the order of the struct it is rendered from; docs/operations.md holds it, and a test holds that
// equal to this.
func Table() string { return table(&Server{}) }

// DemoTable is every setting of demo, as Table.
func DemoTable() string { return table(&Demo{}) }

// TokenTable is every setting of token, as Table.
func TokenTable() string { return table(&Token{}) }

// ImportTable is every setting of import, as Table.
func ImportTable() string { return table(&Import{}) }

func table(settings any) string {
	// Must ends the program only for tags that cannot be read, which the tests of this package hold.
	app := kong.Must(settings, append(Options(), kong.NoDefaultHelp())...)
	var b strings.Builder
	b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	for _, flag := range app.Model.Flags {
		def := "none"
		if flag.Default != "" {
			def = "`" + flag.Default + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n",
			flag.Name, flag.Tag.Envs[0], def, strings.ReplaceAll(flag.Help, "|", `\|`))
	}
	return b.String()
}

// File is the path of a YAML file of settings: a flat mapping of flag names to values. As kong
// stands, its own way to a file would set it above the environment, ask for the command's name
// before each key, pass over keys it does not know, and quote lines of the file in errors.
type File string

// BeforeResolve is called by kong before values are resolved, for a flag and for the environment
// alike; it reads the file and lets it answer for what neither of them sets.
func (p File) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	// kong also calls it for commands that were not chosen; their environment is not ours.
	if !slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return slices.Contains(p.Flags, trace.Flag) }) {
		return nil
	}
	path, ok := ctx.FlagValue(trace.Flag).(File)
	if !ok || path == "" {
		return nil
	}
	file, err := os.Open(string(path))
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values, err := readFile(file)
	// A file that was only read has nothing to lose at Close.
	_ = file.Close()
	if err != nil {
		return fmt.Errorf("--config: %s: %w", path, err)
	}
	if err := onlySettings(ctx.Model, values); err != nil {
		return fmt.Errorf("--config: %s: %w", path, err)
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, env := range flag.Tag.Envs {
			// kong would let the file override it.
			if _, found := os.LookupEnv(env); found {
				return nil, nil //nolint:nilnil // kong's word for "no answer".
			}
		}
		if v, found := values[flag.Name]; found {
			return v, nil
		}
		return nil, nil //nolint:nilnil // kong's word for "no answer".
	}))
	return nil
}

// onlySettings reports the keys that are no flag of any command, and the lists for flags that
// take one value, all at once: a misspelt setting that does nothing is found by nobody, and
// kong would quote the list.
func onlySettings(app *kong.Application, values map[string]any) error {
	known := map[string]*kong.Flag{}
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			if len(f.Tag.Envs) > 0 && f.Name != "config" {
				known[f.Name] = f
			}
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		flag, found := known[key]
		if !found {
			errs = append(errs, fmt.Errorf("%q is no setting", key))
			continue
		}
		if _, isList := values[key].([]any); isList && !flag.IsSlice() {
			errs = append(errs, fmt.Errorf("%q takes one value, not a list", key))
		}
	}
	return errors.Join(errs...)
}

var yamlLine = regexp.MustCompile(`line \d+`)

// readFile reads a flat YAML mapping into the words that flags would have. Errors name a key or
// a line and hold nothing else of the file, which may hold secrets.
func readFile(r io.Reader) (map[string]any, error) {
	var nodes map[string]yaml.Node
	if err := yaml.NewDecoder(r).Decode(&nodes); err != nil && !errors.Is(err, io.EOF) {
		const fault = "it is not a YAML mapping of settings"
		if where := yamlLine.FindString(err.Error()); where != "" {
			return nil, fmt.Errorf("%s (%s)", fault, where)
		}
		return nil, errors.New(fault)
	}
	values := make(map[string]any, len(nodes))
	for key, n := range nodes {
		switch {
		case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
			// An empty value is a setting left out.
		case n.Kind == yaml.ScalarNode:
			values[key] = n.Value
		case n.Kind == yaml.SequenceNode:
			words := make([]any, 0, len(n.Content))
			for _, item := range n.Content {
				if item.Kind != yaml.ScalarNode {
					return nil, fmt.Errorf("the list %q holds something else than words", key)
				}
				words = append(words, item.Value)
			}
			values[key] = words
		default:
			return nil, fmt.Errorf("%q is neither a value nor a list of values", key)
		}
	}
	return values, nil
}
