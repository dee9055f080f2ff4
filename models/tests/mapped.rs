//! A model whose weights are mapped files computes as one whose weights were read, and takes no memory for them.
//! The account is the whole process's, so this file holds one test.

use models::weights::Reader;
use models::{Gpt, GptConfig, LanguageModel, Llama, LlamaConfig, checkpoint};
use nn::prelude::*;
use tensor::memory;

#[test]
fn mapped_weights_are_those_of_the_files_and_take_no_memory() {
    manual_seed(1);
    let sizes = LlamaConfig { layers: 2, key_value_heads: 2, mlp_width: 96, ..LlamaConfig::new(50, 12, 64, 4) };
    let llama: Box<dyn LanguageModel> = Box::new(Llama::new(sizes).unwrap());
    let gpt: Box<dyn LanguageModel> = Box::new(Gpt::new(GptConfig { heads: 2, ..GptConfig::new(50, 12, 64) }).unwrap());
    // One file, several, and a family whose matrices lie transposed.
    for (model, shard) in [(&llama, u64::MAX), (&llama, 50_000), (&gpt, u64::MAX)] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let options = checkpoint::SaveOptions { max_shard_bytes: shard, ..Default::default() };
        checkpoint::save_with(dir, &**model, None, &options).unwrap();
        let weights = 4 * model.config().num_parameters().unwrap() as usize;

        let before = memory::stats().live_bytes;
        let read = checkpoint::load_model(dir).unwrap();
        let after_read = memory::stats().live_bytes;
        let mapped = checkpoint::load_model_mapped(dir).unwrap();
        let after_mapped = memory::stats().live_bytes;
        assert!(after_read - before >= weights, "{} bytes for {weights} of weights", after_read - before);
        if let models::ModelConfig::Llama(_) = model.config() {
            // Tables of rotations and the like are made in memory.
            assert!(after_mapped - after_read < weights / 10, "{} bytes", after_mapped - after_read);
        }

        assert_eq!(mapped.config(), read.config());
        let (a, b) = (mapped.state_dict(), read.state_dict());
        assert!(a.keys().eq(b.keys()));
        a.iter().for_each(|(name, a)| assert!(a.bit_eq(&b[name]), "{name}"));
        let ids = Tensor::from([[3_i64, 1, 4, 1, 5]]);
        assert!(mapped.forward(&ids).value().bit_eq(&read.forward(&ids).value()));

        // A model that is written to, as in training, leaves the file alone.
        let files = || checkpoint::load_model(dir).unwrap().state_dict();
        for p in mapped.parameters() {
            nn::init::zeros_(&p);
        }
        files().iter().for_each(|(name, file)| assert!(file.bit_eq(&b[name]), "{name}"));

        // The same tensor by tensor, and of a file that was mapped when another took its place.
        let [plain, reader] = [Reader::open(dir).unwrap(), Reader::open_mapped(dir).unwrap()];
        assert_eq!(plain.tensors(), reader.tensors());
        let all: Vec<(String, Tensor)> =
            reader.tensors().iter().map(|info| (info.name.clone(), reader.tensor(&info.name).unwrap())).collect();
        let copies: Vec<Tensor> = all.iter().map(|(name, _)| plain.tensor(name).unwrap()).collect();
        drop((plain, reader));
        checkpoint::save_with(dir, &*mapped, None, &options).unwrap();
        assert!(files().values().any(|file| file.abs().max().item::<f32>() == 0.0));
        all.iter().zip(&copies).for_each(|((name, mapped), copy)| assert!(mapped.bit_eq(copy), "{name}"));
    }

    // Files of other formats are read as ever; one that is not there, or damaged, is an error.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let x = Tensor::from([1.5f32, -2.0]);
    models::data::npz::save(&path, &[("x".to_string(), x.clone())]).unwrap();
    assert!(Reader::open_mapped(&path).unwrap().tensor("x").unwrap().bit_eq(&x));
    for (name, bytes) in
        [("a.safetensors", Some(&[9u8; 20][..])), ("b.safetensors", Some(&[])), ("c.safetensors", None)]
    {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        assert!(Reader::open_mapped(&path).err().unwrap().to_string().contains(name));
    }
}
