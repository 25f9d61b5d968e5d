// The text encoder's parameter names: Wan2.1's, which the modules use, and Hugging Face's (UMT5EncoderModel).
#pragma once

#include <string>

namespace moga {

// "blocks.0.attn.q.weight" → "encoder.block.0.layer.0.SelfAttention.q.weight". Throws on a name that is not the text
// encoder's.
std::string hugging_face_text_name(const std::string& name);

}  // namespace moga
