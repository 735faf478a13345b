//! The CustomResourceDefinition: the committed file, and what the schema promises.

use chainlink_operator::api::crd_yaml;

use crate::golden;

const ADVICE: &str = "crds/ and the chart's copy are generated: run `make crds` and commit both";

#[test]
fn the_committed_crd_is_the_generated_one() {
    golden::assert_golden("crds/chainlinknodes.yaml", &crd_yaml().unwrap(), ADVICE);
}

#[test]
fn the_charts_copy_is_the_generated_one() {
    golden::assert_golden(
        "charts/chainlink-operator/files/chainlinknodes.yaml",
        &crd_yaml().unwrap(),
        ADVICE,
    );
}
