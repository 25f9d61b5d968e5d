// A run that starts from a model folder (config.init) has the folder's architecture, scheduler, VAE and tokenizer: they
// are the defaults of the config, and an architecture that the config says differently is an error that names the key.
// So nothing of another shape is allocated, and a calibrated model keeps its attention, steps, shift and guidance.
#pragma once

#include <string>

#include "moga/train/video/config.h"

namespace moga {

// A config with the transformer, text encoder, scheduler (samples.sampler), VAE and tokenizer of the folder; without a
// folder (`init` empty), with the defaults of the transformer's `class_name`, which may be empty. A folder of another
// class than a given one is an error. The attention (transformer.moga) is taken over when the folder's model has
// MoGA's; a model with full attention leaves it to the config.
TrainConfig config_of_init(const std::string& init, const std::string& class_name = "");

// Throws when `config`, read over config_of_init(config.init), has another architecture than the folder. The
// attention's kind and backend may differ, and an image-to-video model may start from a text-to-video model.
void check_fits_init(const TrainConfig& config);

}  // namespace moga
