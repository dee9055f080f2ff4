//! Lists, dictionaries and hooked modules: names, printed trees, what goes through hooks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use nn::AsModule;
use nn::prelude::*;

#[derive(Module)]
struct Heads {
    list: ModuleList<Linear>,
    by_name: ModuleDict<Box<dyn Forward>>,
    scales: ParameterList,
    biases: ModuleDict<Parameter>,
}

fn heads() -> Heads {
    let boxed: [(&str, Box<dyn Forward>); 2] = [("one", Box::new(Linear::new(2, 1))), ("none", Box::new(ReLU::new()))];
    let parameter = |shape: &[usize]| Parameter::new(Tensor::ones(shape, DType::F32));
    Heads {
        list: vec![Linear::new(2, 2)],
        by_name: boxed.into_iter().map(|(name, module)| (name.to_owned(), module)).collect(),
        scales: vec![parameter(&[2, 3]), parameter(&[4])],
        biases: [("b".to_owned(), parameter(&[5]))].into_iter().collect(),
    }
}

#[test]
fn children_stand_under_their_number_or_key() {
    let keys: Vec<String> = heads().state_dict().into_keys().collect();
    let expected =
        ["list.0.weight", "list.0.bias", "by_name.one.weight", "by_name.one.bias", "scales.0", "scales.1", "biases.b"];
    assert_eq!(keys, expected);
}

#[test]
fn containers_print_like_pytorchs() {
    assert_eq!(
        heads().to_string(),
        "Heads(
  (list): ModuleList(
    (0): Linear(in_features=2, out_features=2, bias=True)
  )
  (by_name): ModuleDict(
    (one): Linear(in_features=2, out_features=1, bias=True)
    (none): ReLU()
  )
  (scales): ParameterList(
      (0): Parameter containing: [f32 of size 2x3]
      (1): Parameter containing: [f32 of size 4]
  )
  (biases): ParameterDict(  (b): Parameter containing: [f32 of size 5])
)"
    );
}

#[test]
fn the_alternate_tree_counts() {
    let model = sequential![Linear::new(2, 2), sequential![Tanh::new()]];
    assert_eq!(
        format!("{model:#}"),
        "Sequential(  # 6
  (0): Linear(in_features=2, out_features=2, bias=True)  # 6: weight [2, 2], bias [2]
  (1): Sequential(
    (0): Tanh()
  )
)"
    );
}

#[test]
fn a_list_folds_equal_neighbours_and_a_sequence_does_not() {
    let layers = || vec![Linear::new(2, 2), Linear::new(2, 3), Linear::new(2, 3), Linear::new(2, 2)];
    let tree = layers().as_module().to_string();
    for line in ["(0): Linear(in_features=2, out_features=2", "(1-2): 2 x Linear(", "(3): Linear("] {
        assert!(tree.contains(line), "{tree}");
    }
    let tree = layers().into_iter().fold(Sequential::new(), Sequential::push).to_string();
    assert_eq!(tree.lines().count(), 6, "{tree}");
}

#[test]
fn a_module_is_found_behind_pointers_and_hooks() {
    let model = sequential![Rc::new(Linear::new(2, 3)), Hooked::from(Linear::new(3, 4)), Box::new(Linear::new(4, 5))];
    let mut sizes = Vec::new();
    model.apply(&mut |module| {
        if let Some(linear) = module.downcast_ref::<Linear>() {
            sizes.push(linear.out_features());
        }
    });
    assert_eq!(sizes, [3, 4, 5]);
    assert!(model.children()[0].downcast_ref::<Tanh>().is_none());
}

#[test]
fn hooks_see_and_replace_in_order_until_they_are_removed() {
    let layer = Hooked::new(Identity::new());
    let log = Rc::new(RefCell::new(Vec::new()));
    let note = |word: &'static str| {
        let log = log.clone();
        move || log.borrow_mut().push(word)
    };
    let (a, b, c) = (note("pre"), note("double"), note("seen"));
    let pre = layer.register_forward_pre_hook(move |_, x| {
        a();
        Some(x + 1.0)
    });
    let double = layer.register_forward_hook(move |_, _, y| {
        b();
        Some(y * 2.0)
    });
    let seen = layer.register_forward_hook(move |_, x, y| {
        c();
        assert_eq!((x.item::<f64>(), y.item::<f64>()), (4.0, 8.0));
        None
    });
    let x = Var::new(Tensor::scalar(3f64)).requires_grad_(true);
    let y = layer.forward(&x);
    assert_eq!(y.item::<f64>(), 8.0);
    y.backward();
    assert_eq!(x.grad().unwrap().item::<f64>(), 2.0);
    assert_eq!(*log.borrow(), ["pre", "double", "seen"]);

    seen.remove();
    double.remove();
    assert_eq!(layer.forward(&x).item::<f64>(), 4.0);
    pre.remove();
    assert_eq!(layer.forward(&x).item::<f64>(), 3.0);
    assert_eq!(layer.to_string(), "Identity()");
}

#[test]
fn a_hook_may_register_and_remove_hooks() {
    let layer = Rc::new(Hooked::new(Identity::new()));
    let (calls, inner) = (Rc::new(Cell::new(0)), Rc::downgrade(&layer));
    let count = calls.clone();
    let own = Rc::new(RefCell::new(None::<nn::Hook>));
    let handle = own.clone();
    let first = layer.register_forward_hook(move |_, _, _| {
        let count = count.clone();
        drop(inner.upgrade().unwrap().register_forward_hook(move |_, _, _| {
            count.set(count.get() + 1);
            None
        }));
        if let Some(own) = handle.borrow_mut().take() {
            own.remove();
        }
        None
    });
    own.replace(Some(first));
    let x = Var::new(Tensor::scalar(0f32));
    // The hook takes itself away and leaves another one, which the running pass does not call yet.
    layer.forward(&x);
    assert_eq!(calls.get(), 0);
    layer.forward(&x);
    layer.forward(&x);
    assert_eq!(calls.get(), 2);
}

#[test]
fn a_hook_outlives_its_handle_and_a_handle_its_module() {
    let layer = Hooked::new(Identity::new());
    drop(layer.register_forward_hook(|_, _, y| Some(y * 3.0)));
    let x = Var::new(Tensor::scalar(2f64));
    assert_eq!(layer.forward(&x).item::<f64>(), 6.0);
    let late = layer.register_forward_pre_hook(|_, _| None);
    assert!(layer.into_inner().forward(&x).ptr_eq(&x));
    late.remove();
}

#[test]
fn the_summary_has_a_row_for_each_module_with_state() {
    let summary = heads().summary();
    assert_eq!(summary.parameters, 6 + 3 + 6 + 4 + 5);
    let text = summary.to_string();
    let first: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(first, ["module", "list.0", "by_name.one", "scales", "biases", "24", "96"]);
}
