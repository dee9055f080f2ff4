//! Every layer and loss, from a state dict that PyTorch saved, gives PyTorch's outputs, gradients and buffers, to 1e-9 in
//! f64 and 1e-5 in f32, and has PyTorch's keys and printed form. The numbers are made by `scripts/modules.py`.

mod harness;

mod activation;
mod arrange;
mod conv;
mod dropout;
mod embedding;
mod linear;
mod lora;
mod loss;
mod norm;
mod parametrized;
mod pool;
mod position;
mod recurrent;
mod similarity;
mod transformer;
