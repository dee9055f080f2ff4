//! The walk that `#[derive(Module)]` writes, and what follows from it: names, state dicts, modes, the printed tree.

use std::rc::Rc;

use nn::prelude::*;
use nn::{AsModule, Member};

#[derive(Module)]
struct Block {
    norm: LayerNorm,
    linear: Linear,
    dropout: Dropout,
}

impl Block {
    fn new(width: usize) -> Block {
        Block { norm: LayerNorm::new(width), linear: Linear::new(width, width), dropout: Dropout::new(0.5) }
    }
}

impl Forward for Block {
    fn forward(&self, x: &Var) -> Var {
        x + self.dropout.forward(&self.linear.forward(&self.norm.forward(x)))
    }
}

#[derive(Module)]
struct Model {
    embedding: Embedding,
    blocks: Vec<Block>,
    extra: Option<Linear>,
    pair: [Linear; 2],
    boxed: Box<dyn Forward>,
    scale: Parameter,
    count: Buffer,
    cache: Buffer,
    head: Linear,
    #[module(config)]
    width: usize,
}

impl Model {
    fn new() -> Model {
        let embedding = Embedding::new(5, 4);
        let head = Linear::from_parameters(embedding.weight.clone(), None);
        Model {
            embedding,
            blocks: vec![Block::new(4), Block::new(4)],
            extra: None,
            pair: [Linear::new(4, 1), Linear::new(1, 4)],
            boxed: Box::new(sequential![Linear::new(4, 4), Tanh::new()]),
            scale: Parameter::new(Tensor::ones([4], DType::F32)),
            count: Buffer::new(Tensor::scalar(0i64)),
            cache: Buffer::non_persistent(Tensor::zeros([3], DType::F32)),
            head,
            width: 4,
        }
    }

    fn forward(&self, ids: &Tensor) -> Var {
        let mut x = self.embedding.forward(ids);
        for block in &self.blocks {
            x = block.forward(&x);
        }
        x = self.pair[1].forward(&self.pair[0].forward(&x));
        self.head.forward(&(self.boxed.forward(&x) * &*self.scale / self.width as f64))
    }
}

fn keys(module: &impl Module) -> Vec<String> {
    module.state_dict().keys().cloned().collect()
}

#[test]
fn a_state_dict_has_pytorchs_keys_in_its_order() {
    let expected = [
        "scale",
        "count",
        "embedding.weight",
        "blocks.0.norm.weight",
        "blocks.0.norm.bias",
        "blocks.0.linear.weight",
        "blocks.0.linear.bias",
        "blocks.1.norm.weight",
        "blocks.1.norm.bias",
        "blocks.1.linear.weight",
        "blocks.1.linear.bias",
        "pair.0.weight",
        "pair.0.bias",
        "pair.1.weight",
        "pair.1.bias",
        "boxed.0.weight",
        "boxed.0.bias",
        "head.weight",
    ];
    assert_eq!(keys(&Model::new()), expected);
}

#[test]
fn a_tied_parameter_stands_once_among_the_parameters_and_trains_through_both() {
    let model = Model::new();
    let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"embedding.weight".to_owned()) && !names.contains(&"head.weight".to_owned()));
    assert_eq!(names.len(), 16);
    let numbers = 4 + 20 + 2 * (8 + 20) + (4 + 1) + (4 + 4) + 20;
    assert_eq!(model.num_parameters(), numbers);

    model.forward(&Tensor::from([0i64, 3])).sum().backward();
    // Rows that no index names get their gradient through the head alone.
    let gradient = model.embedding.weight.grad().unwrap().value();
    assert!(gradient.select(0, 1).abs().sum().item::<f32>() > 0.0);
    assert!(model.parameters().iter().all(|parameter| parameter.grad().is_some()));
    model.zero_grad();
    assert!(model.parameters().iter().all(|parameter| parameter.grad().is_none()));
}

#[test]
fn a_state_dict_is_a_snapshot() {
    let layer = Linear::new(2, 2);
    let (dict, before) = (layer.state_dict(), layer.weight.to_vec::<f32>());
    layer.weight.update(|value| value.fill_(7.0));
    assert_eq!(dict["weight"].to_vec::<f32>(), before);
    assert_eq!(layer.weight.to_vec::<f32>(), [7.0; 4]);
}

#[test]
fn loading_takes_over_every_value_and_keeps_ties() {
    let (from, into) = (Model::new(), Model::new());
    from.count.set(Tensor::scalar(9i64));
    into.load_state_dict(&from.state_dict()).unwrap();
    for (name, value) in into.state_dict() {
        assert!(value.bit_eq(&from.state_dict()[&name]), "{name}");
    }
    assert!(into.head.weight.ptr_eq(&into.embedding.weight));
    assert!(!into.head.weight.ptr_eq(&from.head.weight));
}

#[test]
fn one_name_of_a_tied_parameter_is_enough() {
    for absent in ["head.weight", "embedding.weight"] {
        let (from, into) = (Model::new(), Model::new());
        let mut dict = from.state_dict();
        dict.shift_remove(absent);
        into.load_state_dict(&dict).unwrap();
        assert!(into.embedding.weight.value().bit_eq(&from.embedding.weight.value()));
    }
}

#[test]
fn two_values_for_a_tied_parameter_are_refused() {
    let model = Model::new();
    let mut dict = model.state_dict();
    dict["head.weight"] = Tensor::zeros([5, 4], DType::F32);
    let error = model.load_state_dict(&dict).unwrap_err();
    assert_eq!(error.contradicting, [("embedding.weight".to_owned(), "head.weight".to_owned())]);
}

#[test]
fn a_load_reports_everything_at_once_and_changes_nothing() {
    let model = Model::new();
    let before = model.state_dict();
    let mut dict = Model::new().state_dict();
    let value = dict.shift_remove("blocks.0.linear.weight").unwrap();
    dict.insert("blocks.0.lin.weight".to_owned(), value);
    dict.shift_remove("count");
    dict["pair.0.weight"] = Tensor::zeros([2, 2], DType::F32);
    dict.insert("zzz".to_owned(), Tensor::scalar(1f32));

    let error = model.load_state_dict(&dict).unwrap_err();
    let text = error.to_string();
    for line in [
        "load_state_dict: 2 missing, 2 unexpected, 1 mis-shaped",
        "missing     count",
        "missing     blocks.0.linear.weight; closest is blocks.0.lin.weight",
        "unexpected  blocks.0.lin.weight; closest is blocks.0.linear.weight",
        "unexpected  zzz",
        "mis-shaped  pair.0.weight: [2, 2] in the state dict, [1, 4] in the module",
    ] {
        assert!(text.contains(line), "{line}\n-- in --\n{text}");
    }
    assert!(model.state_dict().iter().all(|(name, value)| value.bit_eq(&before[name])));

    let relaxed = LoadOptions { strict: false };
    assert_eq!(model.load_state_dict_with(&dict, relaxed).unwrap_err().mis_shaped.len(), 1);
    dict.shift_remove("pair.0.weight");
    let report = model.load_state_dict_with(&dict, relaxed).unwrap();
    assert_eq!(report.missing_keys, ["count", "blocks.0.linear.weight", "pair.0.weight"]);
    assert_eq!(report.unexpected_keys, ["blocks.0.lin.weight", "zzz"]);
    assert!(model.state_dict()["boxed.0.weight"].bit_eq(&dict["boxed.0.weight"]));
}

#[test]
fn any_number_of_wrong_names_is_reported_soon() {
    let model: Vec<Linear> = (0..200).map(|_| Linear::new(1, 1)).collect();
    // Names of the model's own length, so that each pair would have to be compared.
    let name = |i: usize| format!("{i:0>8}.x{}", "yx".repeat(40));
    let value = Tensor::ones([1], DType::F32);
    let mut dict: StateDict = [("0.weigth".to_owned(), value.clone())].into_iter().collect();
    dict.extend((0..20_000).map(|i| (name(i), value.clone())));
    let wide: ModuleDict<Parameter> = (0..2000).map(|i| (name(i) + "z", Parameter::new(value.clone()))).collect();

    let error = model.load_state_dict(&dict).unwrap_err();
    assert_eq!((error.missing.len(), error.unexpected.len()), (400, 20_001));
    assert_eq!(error.missing[0], ("0.weight".to_owned(), Some("0.weigth".to_owned())));
    let error = wide.load_state_dict(&dict).unwrap_err();
    assert_eq!((error.missing.len(), error.unexpected.len()), (2000, 20_001));
    assert_eq!(error.missing[0], (name(0) + "z", Some(name(0))));
    assert_eq!(error.unexpected.last().unwrap().1, None);
}

#[test]
fn loading_converts_to_the_dtype_of_the_module() {
    let (from, into) = (Linear::new(2, 3), Linear::new(2, 3));
    from.to_dtype(DType::F64);
    into.load_state_dict(&from.state_dict()).unwrap();
    assert_eq!(into.weight.dtype(), DType::F32);
    assert!(into.weight.value().bit_eq(&from.weight.value().to_dtype(DType::F32)));
}

#[test]
fn to_dtype_converts_floating_values_only() {
    let model = Model::new();
    model.forward(&Tensor::from([1i64])).sum().backward();
    model.to_dtype(DType::F64);
    assert!(model.parameters().iter().all(|p| p.dtype() == DType::F64 && p.requires_grad() && p.grad().is_none()));
    assert_eq!((model.count.value().dtype(), model.cache.value().dtype()), (DType::I64, DType::F64));
    assert!(model.head.weight.ptr_eq(&model.embedding.weight));
    assert_eq!(model.forward(&Tensor::from([1i64])).dtype(), DType::F64);
}

#[test]
#[should_panic(expected = "to_dtype: the parameters of a module are floating")]
fn to_dtype_refuses_integers() {
    Linear::new(1, 1).to_dtype(DType::I64);
}

#[test]
fn modes_reach_the_whole_tree_and_leave_gradients_alone() {
    let model = Model::new();
    assert!(model.is_training());
    model.eval();
    assert!(!model.is_training() && model.blocks.iter().all(|block| !block.dropout.is_active()));
    let ids = Tensor::from([1i64, 2]);
    let (a, b) = (model.forward(&ids), model.forward(&ids));
    assert!(a.value().bit_eq(&b.value()) && a.requires_grad());
    model.train();
    assert!(model.is_training() && model.blocks.iter().all(|block| block.dropout.is_active()));
}

#[test]
fn a_frozen_part_gets_no_gradient() {
    let model = Model::new();
    model.blocks[0].requires_grad_(false);
    model.forward(&Tensor::from([1i64])).sum().backward();
    assert!(model.blocks[0].parameters().iter().all(|parameter| parameter.grad().is_none()));
    assert!(model.blocks[1].parameters().iter().all(|parameter| parameter.grad().is_some()));
    model.blocks[0].requires_grad_(true);
    model.forward(&Tensor::from([1i64])).sum().backward();
    assert!(model.blocks[0].parameters().iter().all(|parameter| parameter.grad().is_some()));
}

#[test]
fn modules_are_listed_parents_first_and_visited_children_first() {
    let block = Block::new(2);
    let names: Vec<String> = block.named_modules().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["", "norm", "linear", "dropout"]);
    let mut order = Vec::new();
    vec![block].apply(&mut |module| order.push(module.type_name()));
    assert_eq!(order, ["LayerNorm", "Linear", "Dropout", "Block", "ModuleList"]);
    let model = Model::new();
    let children: Vec<String> = model.named_children().into_iter().map(|(name, _)| name).collect();
    assert_eq!(children, ["embedding", "blocks", "pair", "boxed", "head"]);
    assert_eq!(model.children()[1].children().len(), 2);
}

#[test]
fn paths_lead_to_modules_parameters_and_buffers() {
    let model = Model::new();
    assert_eq!(model.get_submodule("blocks.1.norm").unwrap().type_name(), "LayerNorm");
    assert_eq!(model.get_submodule("").unwrap().type_name(), "Model");
    assert!(model.get_parameter("boxed.0.weight").unwrap().ptr_eq(&model.parameters()[14]));
    assert!(model.get_parameter("scale").unwrap().ptr_eq(&model.scale));
    assert!(model.get_buffer("count").unwrap().ptr_eq(&model.count));
    for path in ["blocks.2", "blocks.0.none", ".", "blocks."] {
        assert!(model.get_submodule(path).is_none(), "{path}");
    }
    for path in ["", "count", "blocks.0.norm", "blocks.0.norm.scale", "blocks.0.dropout.training"] {
        assert!(model.get_parameter(path).is_none(), "{path}");
    }
    assert!(model.get_buffer("scale").is_none() && model.get_buffer("embedding.weight").is_none());
}

#[test]
fn buffers_are_listed_and_shared_modules_tie() {
    let model = Model::new();
    let names: Vec<String> = model.named_buffers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["count", "cache"]);
    model.buffers()[0].update(|value| value.fill_(3.0));
    assert_eq!(model.count.value().item::<i64>(), 3);

    let shared = Rc::new(Linear::new(2, 2));
    let twice = vec![shared.clone(), shared];
    assert_eq!(twice.num_parameters(), 6);
    assert_eq!(keys(&twice), ["0.weight", "0.bias", "1.weight", "1.bias"]);
}

#[test]
fn the_tree_prints_like_pytorchs() {
    assert_eq!(
        Model::new().to_string(),
        "Model(
  (embedding): Embedding(5, 4)
  (blocks): ModuleList(
    (0-1): 2 x Block(
      (norm): LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
      (linear): Linear(in_features=4, out_features=4, bias=True)
      (dropout): Dropout(p=0.5, inplace=False)
    )
  )
  (pair): ModuleList(
    (0): Linear(in_features=4, out_features=1, bias=True)
    (1): Linear(in_features=1, out_features=4, bias=True)
  )
  (boxed): Sequential(
    (0): Linear(in_features=4, out_features=4, bias=True)
    (1): Tanh()
  )
  (head): Linear(in_features=4, out_features=5, bias=False)
)"
    );
}

#[derive(Module)]
struct Wrapper<M: Module>(M, #[module(config)] f64, Parameter);

#[test]
fn tuple_structs_and_type_parameters_are_walked() {
    let wrapper = Wrapper(GELU::new(), 0.5, Parameter::new(Tensor::scalar(1f32)));
    assert_eq!(keys(&wrapper), ["2"]);
    assert_eq!(wrapper.to_string(), "Wrapper(\n  (0): GELU(approximate='none')\n)");
    assert_eq!(wrapper.1, 0.5);
}

#[derive(Module)]
struct Keyword {
    r#type: Linear,
}

#[test]
fn a_raw_name_loses_its_mark() {
    assert_eq!(keys(&Keyword { r#type: Linear::new(1, 1) }), ["type.weight", "type.bias"]);
}

struct ByHand(Parameter);

impl Module for ByHand {
    fn type_name(&self) -> &'static str {
        "ByHand"
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        each("weight", Member::Parameter(&self.0));
    }
}

#[test]
fn a_module_may_be_written_by_hand() {
    let module = ByHand(Parameter::from(Tensor::ones([2], DType::F32)));
    assert_eq!(keys(&vec![module]), ["0.weight"]);
    assert_eq!(ByHand(Tensor::scalar(1f32).into()).as_module().to_string(), "ByHand()");
}

#[test]
fn a_state_dict_goes_through_a_file_with_every_name_and_dtype() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (from, into) = (Model::new(), Model::new());
    from.count.set(Tensor::scalar(7i64));
    save_file(&from.state_dict(), &path).unwrap();
    let read = load_file(&path).unwrap();
    assert!(read["head.weight"].bit_eq(&read["embedding.weight"]) && read["count"].dtype() == DType::I64);
    into.load_state_dict(&read).unwrap();
    assert!(into.state_dict().iter().all(|(name, value)| value.bit_eq(&from.state_dict()[name])));

    let missing = load_file(folder.path().join("none.safetensors")).unwrap_err().to_string();
    assert!(missing.contains("none.safetensors"), "{missing}");
    std::fs::write(&path, b"no such file format").unwrap();
    assert!(load_file(&path).unwrap_err().to_string().contains("safetensors"));
}
