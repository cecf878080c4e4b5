package master

import (
	"envoxyd/internal/paths"
	"envoxyd/internal/staticspec"
	"envoxyd/uwsgiopts"
)

// staticSpec says which files workers send by themselves; nil when none. It
// refuses what they could not make sense of, and logs what types files will have.
func staticSpec(cfg *uwsgiopts.Config) (*staticspec.Options, error) {
	if !cfg.Static() && len(cfg.Routes) == 0 { // rules may send files
		return nil, nil
	}
	dirs := func(names []string) (list []string) {
		for _, name := range names {
			list = append(list, paths.In(workDir(cfg), name))
		}
		return list
	}
	maps := func(pairs [][2]string) (list []staticspec.Map) {
		for _, pair := range pairs {
			list = append(list, staticspec.Map{Prefix: pair[0], Dir: paths.In(workDir(cfg), pair[1])})
		}
		return list
	}
	expiries := func(rules []uwsgiopts.Expiry) (list []staticspec.Expiry) {
		for _, rule := range rules {
			list = append(list, staticspec.Expiry(rule))
		}
		return list
	}
	options := &staticspec.Options{
		Check: dirs(cfg.CheckStatic), Maps: maps(cfg.StaticMaps), WholeMaps: maps(cfg.StaticWholeMaps), DocumentRoot: cfg.CheckStaticDocroot,
		SkipSuffixes: cfg.StaticSkipExt, Index: cfg.StaticIndex, Safe: dirs(cfg.StaticSafe),
		Expires: expiries(cfg.StaticExpires), ExpiresPathInfo: expiries(cfg.StaticExpiresPathInfo),
		ExpiresURI: expiries(cfg.StaticExpiresURI), ExpiresType: expiries(cfg.StaticExpiresType),
		Compressed: cfg.StaticGzip, CompressedAll: cfg.StaticGzipAll,
		CompressedPrefixes: dirs(cfg.StaticGzipPrefixes), CompressedSuffixes: cfg.StaticGzipSuffixes,
		Ranges: cfg.HonourRange, Handoff: cfg.FileServeMode,
	}
	for _, name := range cfg.MimeFiles {
		options.MimeFiles = append(options.MimeFiles, paths.In(cfg.StartDir, name))
	}
	if _, err := options.Compile(); err != nil {
		return nil, err
	}
	if !cfg.Static() {
		return options, nil
	}
	for _, file := range staticspec.ReadTypes(options.MimeFiles).Files {
		if file.Entries < 0 {
			logf("!!! no %s file found !!!", file.Name)
		} else {
			logf("building mime-types dictionary from file %s...%d entry found", file.Name, file.Entries)
		}
	}
	return options, nil
}
