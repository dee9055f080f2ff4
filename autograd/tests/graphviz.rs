//! The drawing of a graph: what stands in it, by the conventions of the lecture.

use autograd::{BackwardOptions, Var, checkpoint, no_grad};
use tensor::{Attention, CrossEntropy, DType, Reduction, ScatterReduce, Tensor};

fn leaf(shape: &[usize]) -> Var {
    Var::new(Tensor::full(shape, 0.5, DType::F64)).requires_grad_(true)
}

fn constant(shape: &[usize]) -> Var {
    leaf(shape).detach()
}

/// A drawing taken apart.
struct Drawing {
    /// Id and attributes, in order.
    nodes: Vec<(String, String)>,
    edges: Vec<(String, String)>,
}

impl Drawing {
    fn of(text: &str) -> Drawing {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for line in text.lines().filter(|line| line.starts_with("  n") && !line.starts_with("  no")) {
            match (line.trim().split_once(" -> "), line.trim().split_once(" [")) {
                (Some((from, to)), _) => edges.push((from.to_string(), to.to_string())),
                (_, Some((id, attributes))) => nodes.push((id.to_string(), attributes.to_string())),
                _ => panic!("{line}"),
            }
        }
        Drawing { nodes, edges }
    }

    /// The ids of the nodes whose attributes contain `what`.
    fn find(&self, what: &str) -> Vec<&str> {
        self.nodes.iter().filter(|(_, a)| a.contains(what)).map(|(id, _)| id.as_str()).collect()
    }

    #[track_caller]
    fn one(&self, what: &str) -> &str {
        let found = self.find(what);
        assert_eq!(found.len(), 1, "{what}: {found:?} in {:?}", self.nodes);
        found[0]
    }

    /// From where edges lead to a node, in order.
    fn leading_to(&self, id: &str) -> Vec<&str> {
        self.edges.iter().filter(|(_, to)| to == id).map(|(from, _)| from.as_str()).collect()
    }
}

const NONE: [(&str, &Var); 0] = [];

/// The two-layer perceptron of the lecture with its loss, and the names of all its values.
fn perceptron() -> (Var, Vec<(&'static str, Var)>) {
    let (x, target) = (constant(&[5]), constant(&[3]));
    let (alpha, alpha0, beta, beta0) = (leaf(&[4, 5]), leaf(&[4]), leaf(&[3, 4]), leaf(&[3]));
    let a = alpha.matmul(&x) + &alpha0;
    let z = a.sigmoid();
    let y = beta.matmul(&z) + &beta0;
    let j = (&y - &target).square().mean();
    let names = vec![
        ("x", x),
        ("α", alpha),
        ("α0", alpha0),
        ("a", a),
        ("z", z),
        ("β", beta),
        ("β0", beta0),
        ("y", y),
        ("y*", target),
        ("J", j.clone()),
    ];
    (j, names)
}

#[test]
fn a_perceptron_shows_parameters_constants_and_the_loss() {
    let (j, names) = perceptron();
    let text = j.to_dot(names.clone());
    let drawing = Drawing::of(&text);
    // Two for each matmul and add, one for the rest; 4 parameters, 2 constants.
    assert_eq!((drawing.nodes.len(), drawing.edges.len()), (14, 13));
    for (name, var) in &names {
        let id = drawing.one(&format!("xlabel=\"{name}\""));
        let inside = match (var.op_name(), var.requires_grad()) {
            (Some(op), _) => op,
            (None, true) => "parameter",
            (None, false) => "constant",
        };
        let attributes = &drawing.nodes.iter().find(|(other, _)| other == id).unwrap().1;
        assert!(attributes.starts_with(&format!("label=\"{inside}")), "{name}: {attributes}");
        assert_eq!(attributes.contains("peripheries=2"), *name == "J", "{name}: {attributes}");
    }
    // The operands stand in order.
    let named = |name: &str| drawing.one(&format!("xlabel=\"{name}\""));
    let products = drawing.find("matmul");
    assert_eq!(drawing.leading_to(products[0]), [named("α"), named("x")]);
    assert_eq!(drawing.leading_to(named("a")), [products[0], named("α0")]);
    assert_eq!(drawing.leading_to(named("z")), [named("a")]);
    assert_eq!(drawing.leading_to(drawing.one("sub")), [named("y"), named("y*")]);
    // Rectangles, directed edges, no labels on them.
    assert!(text.starts_with("digraph {") && text.contains("node [shape=box") && text.ends_with("}\n"));
    assert!(text.lines().filter(|line| line.contains(" -> ")).all(|line| !line.contains("label")));
    assert!(text.contains(r#"label="parameter\n[4, 5]" xlabel="α" style=rounded"#), "{text}");
}

#[test]
fn the_text_is_the_same_each_time_before_and_after_a_pass() {
    let (j, names) = perceptron();
    let text = j.to_dot(names.clone());
    j.backward_with(BackwardOptions { retain_graph: Some(true), ..Default::default() });
    assert_eq!(j.to_dot(names.clone()), text);
    j.backward();
    assert_eq!(j.to_dot(names), text);
    let (j, names) = perceptron();
    assert_eq!(j.to_dot(names), text);
}

#[test]
fn a_value_used_again_is_one_box_and_equal_constants_are_two() {
    let (x, c, d) = (leaf(&[]), constant(&[]), constant(&[]));
    let s = &x * &x;
    let y = (&s + &s.sin()) * &c + &c * &d;
    let drawing = Drawing::of(&y.to_dot([("x", &x), ("s", &s)]));
    assert_eq!(drawing.find("parameter").len(), 1);
    // The product of the constants was not recorded: its result is a third.
    assert_eq!(drawing.find("constant").len(), 2);
    let (x, s) = (drawing.one("xlabel=\"x\""), drawing.one("xlabel=\"s\""));
    assert_eq!(drawing.leading_to(s), [x, x]);
    assert_eq!(drawing.edges.iter().filter(|(from, _)| from == s).count(), 2);

    let y = (leaf(&[2]) * &c) * &c + &d;
    let drawing = Drawing::of(&y.to_dot([("c", &c)]));
    assert_eq!(drawing.find("constant").len(), 2);
    let c = drawing.one("xlabel=\"c\"");
    assert_eq!(drawing.edges.iter().filter(|(from, _)| from == c).count(), 2);
}

#[test]
fn numbers_are_boxes_on_their_side() {
    let x = leaf(&[2]);
    let y = (1.0 - &x) / 3.0 + 2f64.sqrt();
    let drawing = Drawing::of(&y.sum().to_dot(NONE));
    let inputs = |op: &str| {
        let label = |id: &&str| drawing.nodes.iter().find(|(other, _)| other == id).unwrap().1.clone();
        drawing.leading_to(drawing.one(&format!("label=\"{op}"))).iter().map(label).collect::<Vec<_>>()
    };
    assert!(inputs("sub")[0].starts_with("label=\"1\"") && inputs("sub")[1].contains("parameter"));
    assert!(inputs("div")[0].contains("sub") && inputs("div")[1].starts_with("label=\"3\""));
    assert!(inputs("add")[1].starts_with("label=\"1.41421\""), "{:?}", inputs("add"));
    for (x, expected) in [(1e-5, "0.00001"), (1.5e300, "1.50000e300"), (f64::NEG_INFINITY, "-inf"), (-0.5, "-0.5")] {
        let text = (leaf(&[]) * x).to_dot(NONE);
        assert!(text.contains(&format!("label=\"{expected}\"")), "{text}");
    }
}

#[test]
fn targets_and_indices_are_shown_although_they_are_no_values_of_the_graph() {
    let (table, ids) = (leaf(&[4, 3]), Tensor::from([0i64, 2]));
    let loss = table.embedding(&ids).cross_entropy(&Tensor::from([1i64, 0]), &CrossEntropy::default());
    let drawing = Drawing::of(&loss.to_dot([("loss", &loss)]));
    let (ids, target) = (drawing.one("xlabel=\"ids\""), drawing.one("xlabel=\"target\""));
    assert_eq!(drawing.leading_to(drawing.one("embedding")), [drawing.one("parameter"), ids]);
    assert_eq!(drawing.leading_to(drawing.one("xlabel=\"loss\"")), [drawing.one("embedding"), target]);
    assert!(drawing.one("label=\"constant\\n[2] i64\" xlabel=\"ids\"") == ids);
}

#[test]
fn masks_and_conditions_are_shown_too() {
    let (x, mask) = (leaf(&[2]), Tensor::from([true, false]));
    let ids = Tensor::from([1i64]);
    let y = Var::where_(&mask, &x, &x.masked_fill(&mask, 2.0)).gather(0, &ids).index_select(0, &Tensor::from([0i64]));
    let drawing = Drawing::of(&y.to_dot(NONE));
    assert!(drawing.one("xlabel=\"condition\"") != drawing.one("xlabel=\"mask\""));
    assert_eq!(drawing.find("xlabel=\"ids\"").len(), 2);
    assert!(drawing.find("[2] bool").len() == 2);
    let q = leaf(&[1, 2, 3]);
    let options = Attention { mask: Some(Tensor::from([[true, true], [false, true]])), ..Default::default() };
    let text = q.scaled_dot_product_attention(&q, &q, &options).to_dot(NONE);
    assert_eq!(Drawing::of(&text).leading_to(Drawing::of(&text).one("scaled_dot_product_attention")).len(), 4);
}

#[test]
fn whatever_an_operation_reads_is_shown() {
    let (x, v, ids) = (leaf(&[3]), leaf(&[]), Tensor::from([1i64, 2]));
    let w = Tensor::from([1.0, 2.0, 3.0]);
    let weighted = CrossEntropy { weight: Some(w.clone()), ..Default::default() };
    let target = Tensor::scalar(1i64);
    for (op, y, read) in [
        ("scatter_reduce", x.scatter_reduce(0, &ids, &leaf(&[2]), ScatterReduce::Sum, true), "ids"),
        ("scatter_reduce", x.scatter_reduce(0, &ids, &leaf(&[2]), ScatterReduce::Amax, true), "ids"),
        ("take_along_dim", x.take_along_dim(&ids, 0), "ids"),
        ("index_put", x.index_put(&ids, &v, false), "ids"),
        ("i", x.i(&ids), "ids"),
        ("index_fill", x.index_fill_tensor(0, &ids, &v), "ids"),
        ("embedding", leaf(&[3, 1]).embedding_with(&ids, Some(0), false), "ids"),
        ("cross_entropy", x.cross_entropy(&target, &weighted), "weight"),
        ("nll_loss", x.nll_loss(&target, Some(&w), -100, Reduction::Mean), "weight"),
    ] {
        let drawing = Drawing::of(&y.to_dot(NONE));
        let (box_of, inside) = drawing.nodes.last().expect("the result");
        assert!(inside.starts_with(&format!("label=\"{op}")), "{inside}");
        assert!(drawing.leading_to(box_of).contains(&drawing.one(&format!("xlabel=\"{read}\""))), "{op}");
    }
}

#[test]
fn a_frozen_parameter_is_a_constant_that_has_its_name() {
    let (w, x) = (leaf(&[2]), leaf(&[2]));
    w.requires_grad_(false);
    let drawing = Drawing::of(&(&w * &x).to_dot([("w", &w)]));
    assert!(drawing.nodes.iter().any(|(_, a)| a.starts_with("label=\"constant\\n[2]\" xlabel=\"w\"")));
}

#[test]
fn a_name_is_only_for_its_own_value() {
    let x = leaf(&[2]);
    // The constants are gone when the next ones come, perhaps to the same place in memory.
    let y = (0..50).fold(x.clone(), |y, _| &y * &constant(&[2]));
    let fresh: Vec<Var> = (0..50).map(|_| constant(&[2])).collect();
    let text = y.to_dot(fresh.iter().map(|c| ("wrong", c)));
    assert!(!text.contains("wrong"));
    assert_eq!(Drawing::of(&text).find("constant").len(), 50);
    // Two names, escaped.
    let text = y.to_dot([("a \"b\"", &x), ("tied\\", &x), ("tied\\", &x)]);
    assert!(text.contains(r#"xlabel="a \"b\" = tied\\""#), "{text}");
}

#[test]
fn results_of_one_step_are_values_of_their_own() {
    let x = leaf(&[3]);
    let parts = x.unbind(0);
    let y = &parts[0] * &parts[2];
    let drawing = Drawing::of(&y.to_dot([("first", &parts[0])]));
    let found: Vec<&str> = drawing.nodes.iter().map(|(_, a)| a.as_str()).filter(|a| a.contains("unbind")).collect();
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("unbind 0\" xlabel=\"first\"") && found[1].contains("unbind 2\""), "{found:?}");
    assert!(drawing.find("unbind").iter().all(|id| drawing.leading_to(id) == [drawing.one("parameter")]));
}

#[test]
fn what_has_no_history_is_one_box() {
    let x = leaf(&[2]);
    for (var, inside) in [(x.clone(), "parameter"), (no_grad(|| x.exp()), "constant")] {
        let drawing = Drawing::of(&var.to_dot([("x", &var)]));
        assert_eq!((drawing.nodes.len(), drawing.edges.len()), (1, 0));
        assert!(drawing.nodes[0].1.contains(inside) && drawing.nodes[0].1.contains("peripheries=2"));
    }
}

#[test]
fn checkpointed_parts_show_their_steps() {
    let x = leaf(&[2]);
    let plain = Drawing::of(&(2.0 / x.exp().tanh()).to_dot(NONE));
    let drawing = Drawing::of(&checkpoint(|v| 2.0 / v[0].exp().tanh(), &[&x]).to_dot(NONE));
    assert_eq!((drawing.nodes, drawing.edges), (plain.nodes, plain.edges));
}

#[test]
fn large_graphs_need_no_stack_and_keep_nothing_alive() {
    let draw = || {
        let (x, mut y) = (leaf(&[]), leaf(&[]));
        for _ in 0..20_000 {
            y = &y * &x;
        }
        let drawing = Drawing::of(&y.to_dot(NONE));
        assert_eq!((drawing.nodes.len(), drawing.edges.len()), (20_002, 40_000));
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(draw).unwrap().join().unwrap();
}

#[test]
fn long_names_keep_the_boxes_apart() {
    let (w, b) = (leaf(&[2, 3]), leaf(&[2]));
    let y = constant(&[3]).linear(&w, Some(&b));
    let room = |name: &str| {
        let text = y.to_dot([(name, &w)]);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("nodesep=")).unwrap().to_string();
        line.parse::<f64>().unwrap()
    };
    assert_eq!((room("w"), room("β0")), (0.7, 0.7));
    assert!(room("decoder.weight") == 1.27 && room(&"name".repeat(100)) == 2.0);
}
