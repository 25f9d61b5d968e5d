// Stories: a seeded procedural world of persons, places and shots. A story is planned and captioned here and drawn by
// render.h, both on the host.
//
// A person's attributes are mentioned only in the caption of the shot in which that person first appears; later
// captions use the name. Every caption gives the geometry of its shot (kind, action, side). Together with the shot's
// length it determines where a person's parts are, so that the colour of a hat can be measured in generated frames
// (measure.h). Only the background has detail that no caption mentions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "moga/core/strides.h"

namespace moga {

struct StoryConfig {
  int64_t width = 224, height = 128;
  int64_t frames = 129;  // pixel frames, 1 + 4k
  int64_t min_shots = 4, max_shots = 4;
  int64_t max_persons = 2;
  double away = 0.5;  // probability that a person is absent from a shot and comes back

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("width", width, "pixels");
    field("height", height, "pixels");
    field("frames", frames, "pixel frames a story, 1 + 4k");
    field("min_shots", min_shots, "fewest shots");
    field("max_shots", max_shots, "most shots");
    field("max_persons", max_persons, "most persons");
    field("away", away, "probability of a person who leaves for a shot and comes back");
  }
};

using Rgb = std::array<float, 3>;  // sRGB in [0, 1]

struct Palette {
  struct Entry {
    std::string name;
    Rgb rgb;
  };
  static const std::vector<Entry>& clothes();  // 8 colours, far apart: hats, shirts
  static const std::vector<Entry>& trousers();
  static const std::vector<Entry>& hair();
  static const std::vector<Entry>& skin();
};

enum class HatKind : int64_t { cap, top_hat, beanie, sun_hat, count };
enum class ShotKind : int64_t { wide, medium, close_up, pan, two_shot, count };
enum class Action : int64_t { walk, wave, jump, turn, stand, count };
enum class Side : int64_t { left, middle, right, count };
enum class Place : int64_t { lake, city, forest, beach, kitchen, snow, count };
enum class Light : int64_t { day, dusk, count };

struct Person {
  std::string name;
  bool long_hair;  // depends on the name
  HatKind hat_kind;
  int64_t hat_colour, hair_colour, skin_colour, shirt_colour, trouser_colour;  // indices into the palettes
};

// The names of persons, in a fixed order.
const std::vector<std::string>& person_names();

struct StoryShot {
  ShotKind kind = ShotKind::wide;
  int64_t first_frame = 0, frames = 0;  // pixel frames
  std::vector<int64_t> persons;         // indices into Story::persons, at most 2
  std::vector<Action> actions;          // one per person
  std::vector<Side> sides;              // one per person
  std::string caption;
};

struct Story {
  uint64_t seed;
  StoryConfig config;
  std::vector<Person> persons;
  Place place;
  Light light;
  std::vector<StoryShot> shots;

  std::vector<std::string> captions() const;
  std::vector<int64_t> latent_shot_frames() const;  // a cut is between latent frames: shots end at pixel 4i + 1
  int64_t first_shot(int64_t person) const;         // the shot that introduces this person
};

// Throws unless a codec of these strides has its latent frames where stories cut.
void check_story_codec(const Strides& strides);

// The story of this seed. Every choice comes from random_key(seed, …).
Story plan_story(uint64_t seed, const StoryConfig& config);

}  // namespace moga
