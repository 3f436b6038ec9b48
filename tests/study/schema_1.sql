BEGIN TRANSACTION;
CREATE TABLE environments (
	id VARCHAR(64) NOT NULL, 
	versions TEXT NOT NULL, 
	machine TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "environments" VALUES('72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','{"python":"3.11.7","torch":"2.6.0"}','{"cpu":"x","cores":2,"threads":2,"memory_bytes":1,"os":"Linux"}');
CREATE TABLE meta (
	name VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema','1');
CREATE TABLE planned (
	study VARCHAR(200) NOT NULL, 
	rule VARCHAR(200) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	number INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	PRIMARY KEY (study, rule, kind, number), 
	FOREIGN KEY(study) REFERENCES studies (id)
);
INSERT INTO "planned" VALUES('digits-7fc66691','sgd','search',0,'eb95ffd15a7d145d4aec6a076541db5148b239522c969a7cc12627ca09854784');
INSERT INTO "planned" VALUES('digits-7fc66691','sgd','search',1,'c6e84aaa2f249a137594f7c48f0343be0c556f9521833edfaa4c72ed7363ed87');
INSERT INTO "planned" VALUES('digits-7fc66691','sgd','tuned',0,'57c07e8993ec924f71b7a86e92901c4849c264f98aa280c6d738f02432d64fb1');
INSERT INTO "planned" VALUES('digits-7fc66691','sgd','default',0,'d95fa92831523717bac23d2cc99daa80bc516968cdf8c96245cf2370cfa12570');
INSERT INTO "planned" VALUES('digits-7fc66691','adam','search',0,'716ec869db3605d2fa2f31094bd0b621656ace9971892c3b2d22282281548592');
INSERT INTO "planned" VALUES('digits-7fc66691','adam','search',1,'5a78b918acd78fc01cc9ef224842eaecc59d80c8a504daebcc2a4e753702c827');
INSERT INTO "planned" VALUES('digits-7fc66691','adam','tuned',0,'bc67a8225a9d68240cce44fbf7ff7958ec1e30b75e661abffb9ca203ec3ccaac');
INSERT INTO "planned" VALUES('digits-7fc66691','adam','default',0,'1eece86f251e8658719fa60fed5ff272100f64d971bb51291b075fda44a6601e');
CREATE TABLE studies (
	id VARCHAR(200) NOT NULL, 
	created VARCHAR(40) NOT NULL, 
	opened VARCHAR(40) NOT NULL, 
	environment VARCHAR(64) NOT NULL, 
	"plan" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(environment) REFERENCES environments (id)
);
INSERT INTO "studies" VALUES('digits-7fc66691','2026-11-21T10:16:13+00:00','2026-11-21T10:16:13.546282+00:00','72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','{"problem_name":"digits","metric_name":"accuracy","maximize":true,"target":null,"trials":2,"seeds":1,"seed":0,"rules":[{"name":"sgd","fingerprint":"e0d6d51d0c986bd6be14c09443d49cdea3099952264b9ac8f42a761ce5f2766b","paper":"Robbins & Monro 1951, equation 2","summary":"Gradient descent: a step against the gradient.","states":[],"numbers":{},"equation":["\\theta_{t} = \\theta_{t-1} - \\eta \\, g_{t}"],"bytes_per_parameter":12,"state_arrays":0,"hypers":[{"name":"lr","default":0.001,"allowed":[0,"inf",true],"search":[0.001,10,"log"]}]},{"name":"adam","fingerprint":"fd11e21b1899d52b700cc6b75d0c8f0291ce862551b6b7e5da939ce85f5738c7","paper":"Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1","summary":"The average gradient over the root of the average squared gradient, both corrected for their start at zero.","states":["m","v"],"numbers":{},"equation":["m_{t} = \\beta_{1} \\, m_{t-1} + \\left(1 - \\beta_{1}\\right) \\, g_{t}","v_{t} = \\beta_{2} \\, v_{t-1} + \\left(1 - \\beta_{2}\\right) \\, {g_{t}}^{2}","\\hat{m}_{t} = \\frac{m_{t}}{1 - {\\beta_{1}}^{t}}","\\hat{v}_{t} = \\frac{v_{t}}{1 - {\\beta_{2}}^{t}}","\\theta_{t} = \\theta_{t-1} - \\frac{\\eta \\, \\hat{m}_{t}}{\\sqrt{\\hat{v}_{t}} + \\epsilon}"],"bytes_per_parameter":28,"state_arrays":2,"hypers":[{"name":"lr","default":0.001,"allowed":[0,"inf",true],"search":[1e-05,0.1,"log"]},{"name":"beta1","default":0.9,"allowed":[0,1,false],"search":[0.5,0.99,"one_minus_log"]},{"name":"beta2","default":0.999,"allowed":[0,1,false],"search":[0.9,0.9999,"one_minus_log"]},{"name":"eps","default":1e-08,"allowed":[0,"inf",true],"search":null}]}],"problem":{"fingerprint":"pppppppppppppppp","parameters":7510,"sizes":{"train":1298,"valid":229,"test":270},"batch_size":32,"epochs":2,"share":true},"notes":["A note."]}');
CREATE TABLE trials (
	"key" VARCHAR(64) NOT NULL, 
	problem VARCHAR(64) NOT NULL, 
	rule VARCHAR(200) NOT NULL, 
	rule_text VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	seed BIGINT NOT NULL, 
	settings TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	curve TEXT NOT NULL, 
	steps BIGINT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	step_seconds DOUBLE NOT NULL, 
	test_loss DOUBLE, 
	test_metric DOUBLE, 
	environment VARCHAR(64) NOT NULL, 
	started VARCHAR(40) NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(environment) REFERENCES environments (id)
);
INSERT INTO "trials" VALUES('eb95ffd15a7d145d4aec6a076541db5148b239522c969a7cc12627ca09854784','pppppppppppppppp','sgd','e0d6d51d0c986bd6be14c09443d49cdea3099952264b9ac8f42a761ce5f2766b','search',0,'{"lr":0.1}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,1.5,0.7],"valid_loss":[2.3,1.1,0.6],"valid_metric":[0.1,0.51,0.61]}',82,0.61,2.5e-05,NULL,NULL,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-01T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('c6e84aaa2f249a137594f7c48f0343be0c556f9521833edfaa4c72ed7363ed87','pppppppppppppppp','sgd','e0d6d51d0c986bd6be14c09443d49cdea3099952264b9ac8f42a761ce5f2766b','search',0,'{"lr":0.05}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,0.75,0.35],"valid_loss":[2.3,0.55,0.3],"valid_metric":[0.1,0.52,0.62]}',82,0.61,2.5e-05,NULL,NULL,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-02T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('57c07e8993ec924f71b7a86e92901c4849c264f98aa280c6d738f02432d64fb1','pppppppppppppppp','sgd','e0d6d51d0c986bd6be14c09443d49cdea3099952264b9ac8f42a761ce5f2766b','tuned',1,'{"lr":0.03333333333333333}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,0.5,-0.0],"valid_loss":[2.3,0.3666666666666667,0.19999999999999998],"valid_metric":[0.1,0.53,0.63]}',82,0.61,2.5e-05,9.99999999999999916733e-02,0.903,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-03T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('d95fa92831523717bac23d2cc99daa80bc516968cdf8c96245cf2370cfa12570','pppppppppppppppp','sgd','e0d6d51d0c986bd6be14c09443d49cdea3099952264b9ac8f42a761ce5f2766b','default',1,'{"lr":0.025}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,0.375,"inf"],"valid_loss":[2.3,0.275,0.15],"valid_metric":[0.1,0.54,0.64]}',82,0.61,2.5e-05,'nan',0.904,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-04T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('716ec869db3605d2fa2f31094bd0b621656ace9971892c3b2d22282281548592','pppppppppppppppp','adam','fd11e21b1899d52b700cc6b75d0c8f0291ce862551b6b7e5da939ce85f5738c7','search',0,'{"lr":0.02,"beta1":0.9,"beta2":0.999,"eps":1e-08}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,0.3,0.13999999999999999],"valid_loss":[2.3,0.22000000000000003,0.12],"valid_metric":[0.1,0.55,0.65]}',82,0.61,2.5e-05,NULL,NULL,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-05T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('5a78b918acd78fc01cc9ef224842eaecc59d80c8a504daebcc2a4e753702c827','pppppppppppppppp','adam','fd11e21b1899d52b700cc6b75d0c8f0291ce862551b6b7e5da939ce85f5738c7','search',0,'{"lr":0.016666666666666666,"beta1":0.9,"beta2":0.999,"eps":1e-08}','diverged','the loss was é','{"epoch":[0,1],"step":[0,41],"seconds":[0.0,0.30000000000000004],"train_loss":[null,0.25],"valid_loss":[2.3,"nan"],"valid_metric":[0.1,0.56]}',82,0.61,2.5e-05,NULL,NULL,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-06T00:00:00.000+00:00');
INSERT INTO "trials" VALUES('bc67a8225a9d68240cce44fbf7ff7958ec1e30b75e661abffb9ca203ec3ccaac','pppppppppppppppp','adam','fd11e21b1899d52b700cc6b75d0c8f0291ce862551b6b7e5da939ce85f5738c7','tuned',1,'{"lr":0.014285714285714287,"beta1":0.9,"beta2":0.999,"eps":1e-08}','finished','','{"epoch":[0,1,2],"step":[0,41,82],"seconds":[0.0,0.30000000000000004,0.61],"train_loss":[null,0.21428571428571427,0.09999999999999999],"valid_loss":[2.3,0.15714285714285717,0.08571428571428572],"valid_metric":[0.1,0.5700000000000001,0.6699999999999999]}',82,0.61,2.5e-05,4.28571428571428575393e-02,0.907,'72541f1766199dd4684ac9bd96635754f51390127cd4cd5e32592cfede4a1eea','2025-01-07T00:00:00.000+00:00');
COMMIT;
