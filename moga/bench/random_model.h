// Models with random weights, on their device and in the dtypes in which they are loaded, and what goes into them.
#pragma once

#include "moga/model/text/text_encoder.h"
#include "moga/model/wan/transformer.h"

namespace moga {

// Filled on the device; the head as well, which Wan2.1 begins with zeros.
Transformer random_transformer(const TransformerConfig& config, c10::Device device, c10::ScalarType dtype);

// Gives the routers biases with which every group is about equally large, as training with the balance loss leaves
// them: random ones route by what all tokens have in common, most of them to one group. Runs the model over such a
// video: routers evened on a shorter one alone are uneven again some layers deep.
void even_routers(Transformer& model, const VideoShape& video, c10::Device device, c10::ScalarType dtype);

// The blocks' weights go to the host and are streamed from there (model/weight_stream.h), with the values they have.
void stream_blocks(Transformer& model, c10::Device device);

TextEncoder random_text_encoder(const TextEncoderConfig& config, c10::Device device, c10::ScalarType dtype);

// Standard normal; the same for the same index.
at::Tensor random_tensor(at::IntArrayRef shape, int64_t index, c10::Device device, c10::ScalarType dtype);

// One evaluation's input: latents and captions of these videos, `dtype` of the text.
TransformerInput random_input(const TransformerConfig& config, const std::vector<VideoShape>& videos,
                              c10::Device device, c10::ScalarType dtype);

}  // namespace moga
