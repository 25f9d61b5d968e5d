// A 64-bit checksum, fast enough to cost nothing next to reading the file: four lanes of multiply and rotate, mixed at
// the end. It finds truncation and flipped bits; it is no defence against an adversary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace moga {

// Of a file's content. text_hash of the same bytes is the same number.
uint64_t file_hash(const std::filesystem::path& path);
uint64_t text_hash(std::string_view text);

std::string to_hex(uint64_t hash);  // 16 digits

}  // namespace moga
