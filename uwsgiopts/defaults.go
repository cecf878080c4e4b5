package uwsgiopts

import "time"

// defaults returns the Config of an empty command line, with uWSGI 2.1's values.
func defaults() *Config {
	return &Config{
		Listen:             100,
		BufferSize:         4096,
		MaxVars:            2 * 64,
		BodyMemory:         64 << 20,
		BodyFiles:          8 << 30,
		BodyFilesTotal:     16 << 30,
		ResponseMemory:     64 << 20,
		ResponseFiles:      8 << 30,
		SocketTimeout:      4 * time.Second,
		HTTPTimeout:        60 * time.Second,
		CGIConfig:          CGIConfig{CGITimeout: 60 * time.Second},
		HTTPHeadersTimeout: 60 * time.Second,
		HTTPManageExpect:   -1,
		ChmodSocket:        -1,
		Umask:              -1,
		Processes:          1,
		Threads:            1,
		NeedApp:            true,
		WorkerReloadMercy:  60 * time.Second,
		MinWorkerLifetime:  10 * time.Second,
		LoopConfig:         LoopConfig{ASGILoop: "auto", ASGILifespan: "auto"},
		WebsocketConfig:    WebsocketConfig{WebsocketPing: 30, WebsocketPong: 3, WebsocketMaxSize: 1 << 20},
		SupervisedConfig:   SupervisedConfig{WaitForFiles: time.Minute, WaitForSockets: time.Minute, WaitForInterfaces: time.Minute},
		CheaperConfig:      cheaperDefaults(),
		ProcessConfig:      processDefaults(),
		PushConfig:         pushDefaults(),
		PythonConfig:       pythonDefaults(),
		MuleConfig:         muleDefaults(),
		AskConfig:          AskConfig{PingTimeout: 3 * time.Second},
		EmperorConfig:      emperorDefaults(),
		LoggingConfig:      LoggingConfig{LogColor: ColorAuto, LogfileChmod: -1, RsyslogPacketSize: 1024, AlarmFreq: 3, AlarmMsgSize: 8192},
		SpoolerConfig:      SpoolerConfig{SpoolerFrequency: 30},
		SharingConfig:      sharingDefaults(),
		RoutersConfig:      routersDefaults(),
		TLSConfig:          tlsDefaults(),
	}
}
