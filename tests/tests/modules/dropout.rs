//! Dropout in evaluation, and where chance has no say: nothing dropped, or everything.

use crate::harness::*;
use nn::functional as F;

cases! { "dropout":
    "Dropout_eval" => layer(Dropout::new(0.3)),
    "Dropout_none" => layer(Dropout::new(0.0)),
    "Dropout_all" => layer(Dropout::new(1.0)),
    "Dropout1d_eval" => layer(Dropout1d::new(0.3)),
    "Dropout1d_none" => layer(Dropout1d::new(0.0)),
    "Dropout1d_all" => layer(Dropout1d::new(1.0)),
    "Dropout2d_eval" => layer(Dropout2d::new(0.3)),
    "Dropout2d_none" => layer(Dropout2d::new(0.0)),
    "Dropout2d_all" => layer(Dropout2d::new(1.0)),
    "AlphaDropout_eval" => layer(AlphaDropout::new(0.3)),
    "AlphaDropout_none" => layer(AlphaDropout::new(0.0)),
    "AlphaDropout_all" => layer(AlphaDropout::new(1.0)),
    "FeatureAlphaDropout_eval" => layer(FeatureAlphaDropout::new(0.3)),
    "FeatureAlphaDropout_none" => layer(FeatureAlphaDropout::new(0.0)),
    "FeatureAlphaDropout_all" => layer(FeatureAlphaDropout::new(1.0)),
    "functions" => function(|x| {
        let functions = [F::dropout, F::dropout1d, F::dropout2d, F::alpha_dropout, F::feature_alpha_dropout];
        functions.map(|f| f(x.var(0), 0.4, false)).to_vec()
    }),
}
