// Inspections of the tiny model that several tests look at.
#pragma once

#include "moga/pipeline/inspect.h"
#include "moga/pipeline/script_request.h"
#include "moga/pipeline/story_files.h"
#include "tests/pipeline/tiny_folder.h"

namespace moga::test {

inline Script film_of_two_shots() {
  Script script;
  script.title = "Two </script> shots";  // a page must not end here
  script.size = {48, 32};
  script.shot.resize(2);
  script.shot[0] = {"Mara waves at the camera.", {}, 9};
  script.shot[1] = {"Tom <b>walks</b> by the lake.", {}, 8};
  return script;
}

inline Inspection inspected_film() {
  Models models = tiny_models();
  InspectConfig config{.sampler = models.sampler};
  Inspection inspection = inspect_script(film_of_two_shots(), std::move(models), config);
  inspection.model = "tiny";
  return inspection;
}

// The film of a model whose router in layer 1 prefers group 2.
inline Inspection collapsed_film() {
  Models models = tiny_models();
  const at::NoGradGuard no_grad;
  for (const auto& parameter : models.transformer->named_parameters())
    if (parameter.key() == "blocks.1.self_attn.router.bias") parameter.value()[2] += 100;
  InspectConfig config{.sampler = models.sampler};
  return inspect_script(film_of_two_shots(), std::move(models), config);
}

inline Story small_story() {
  StoryConfig config;
  config.width = 112;
  config.height = 64;
  config.frames = 33;
  config.min_shots = config.max_shots = 2;
  return plan_story(5, config);
}

}  // namespace moga::test
