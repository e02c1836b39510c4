"""Run by Blender's Python (PyPI `bpy`): render glTF, OBJ and USDZ files with Cycles.

python blender_render.py JOB.json

The job is that of chromium_render.mjs: every file from every camera, FOLDER/FILE-CAMERA.png, and
one line of JSON a file. The light is white from everywhere; with `flat`, base colours are shown
without light.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any


def main(job_path: str) -> None:
    import bpy
    from mathutils import Matrix

    # Our (x, y, z) is Blender (x, -z, y): docs/conventions.md. Its importers turn files like that.
    z_up = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    for file, path in enumerate(job["files"]):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        import_file = {".usdz": bpy.ops.wm.usd_import, ".obj": bpy.ops.wm.obj_import}
        import_file.get(Path(path).suffix, bpy.ops.import_scene.gltf)(filepath=path)
        if job["flat"]:
            show_base_colors(bpy.data.materials)
        scene = bpy.context.scene
        meshes = [thing for thing in scene.objects if thing.type == "MESH"]
        images = [image for image in bpy.data.images if image.size[0] > 0]
        found = {"meshes": len(meshes), "images": len(images)}
        print(json.dumps(found), flush=True)  # noqa: T201

        camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        scene.collection.objects.link(camera)
        scene.camera = camera
        scene.world = bpy.data.worlds.new("world")
        scene.world.use_nodes = True
        scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
        scene.view_settings.view_transform = "Standard"
        scene.render.engine = "CYCLES"
        scene.cycles.device = "CPU"
        scene.cycles.samples = 16
        scene.cycles.transparent_max_bounces = 64
        scene.cycles.pixel_filter_type = "BOX"  # as our images: the mean over a pixel
        scene.render.film_transparent = True
        scene.render.resolution_x = scene.render.resolution_y = job["size"]
        scene.render.image_settings.file_format = "PNG"
        scene.render.image_settings.color_mode = "RGBA"
        for index, view in enumerate(job["cameras"]):
            camera.matrix_world = z_up @ Matrix(view["camera_to_world"])
            focal_x, focal_y, centre_x, centre_y = view["intrinsics"]
            assert focal_x == focal_y, "a square image of square pixels"
            camera.data.angle = 2 * math.atan(0.5 / focal_x)
            camera.data.shift_x, camera.data.shift_y = 0.5 - centre_x, centre_y - 0.5
            camera.data.clip_start, camera.data.clip_end = view["near"], view["far"]
            scene.render.filepath = str(Path(job["folder"]) / f"{file}-{index}.png")
            bpy.ops.render.render(write_still=True)


def show_base_colors(materials: Any) -> None:
    """Replace the surface of every material by emission of its base colour, with its alpha."""
    for material in materials:
        nodes, links = material.node_tree.nodes, material.node_tree.links
        [surface] = [node for node in nodes if node.type == "BSDF_PRINCIPLED"]
        [output] = [node for node in nodes if node.type == "OUTPUT_MATERIAL"]
        emission, mix = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeMixShader")
        for name, target in (("Base Color", emission.inputs["Color"]), ("Alpha", mix.inputs[0])):
            if surface.inputs[name].is_linked:
                links.new(surface.inputs[name].links[0].from_socket, target)
            else:
                target.default_value = surface.inputs[name].default_value
        links.new(nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
        links.new(emission.outputs[0], mix.inputs[2])
        links.new(mix.outputs[0], output.inputs["Surface"])


if __name__ == "__main__":
    main(sys.argv[-1])
