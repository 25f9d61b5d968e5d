// The parts of a model folder that hold a config.json and weights; a part's name is that of its folder. Tokenizer and
// scheduler hold neither weights nor a class of ours, so they are not among them.
#pragma once

#include "moga/core/choice.h"

namespace moga {

enum class ModelPart { kTransformer, kTransformer2, kTextEncoder, kImageEncoder, kVae };
template <>
inline constexpr auto kChoices<ModelPart> = std::array{
    Choice{ModelPart::kTransformer, "transformer", "the video model"},
    Choice{ModelPart::kTransformer2, "transformer_2", "the expert for low noise, in models of two"},
    Choice{ModelPart::kTextEncoder, "text_encoder", "captions to embeddings"},
    Choice{ModelPart::kImageEncoder, "image_encoder", "images to embeddings, in models that use one"},
    Choice{ModelPart::kVae, "vae", "pixels to latents and back"},
};

}  // namespace moga
