// The sample: a text field, two buttons and a caption.

using System;
using UnityEngine;
using Voxwire;
using Voxwire.Unity;

/// <summary>Put it on a game object with a VoxwireSpeaker. Needs no canvas.</summary>
[RequireComponent(typeof(VoxwireSpeaker))]
public sealed class Talk : MonoBehaviour
{
    private VoxwireSpeaker speaker;
    private string text = "Hello! Bob puts five maps on my van.";
    private string caption = "";
    private string status = "";

    private void Start()
    {
        speaker = GetComponent<VoxwireSpeaker>();
        speaker.OnWord += word => caption += word.Text + " ";
        speaker.OnEnd += done => status = done.Reason;
        speaker.OnError += error => status = error.Message;
    }

    private void OnGUI()
    {
        GUILayout.BeginArea(new Rect(20, 20, 480, 240));
        text = GUILayout.TextField(text);
        if (GUILayout.Button("Speak"))
            Speak();
        if (GUILayout.Button("Interrupt"))
            Interrupt();
        GUILayout.Label(caption);
        GUILayout.Label(status);
        GUILayout.EndArea();
    }

    private async void Speak()
    {
        caption = status = "";
        try
        {
            await speaker.SayAsync(text);
        }
        catch (VoxwireException error)
        {
            status = error.Message + " " + error.Hint;
        }
    }

    private async void Interrupt()
    {
        Cancelled report = await speaker.InterruptAsync();
        if (report != null)
            status = "heard: " + report.HeardText + " | not heard: " + report.UnheardText;
    }
}
